"""Pure: when so many tokens are called dead that something else must be wrong.

A token of the sandbox is bad in production, and the other way round; so are all tokens of another
app. Where too large a share of the pushes is rejected for such a reason, no token is to be deleted.
With Redis one window serves all processes, see `store.scripts`; this is for a process without.
"""

from dataclasses import dataclass, field
from typing import Final

#: Seconds of one half of the window.
BUCKET: Final = 600


@dataclass(slots=True)
class Window:
    """The pushes of the current 10 minutes and of the 10 before."""

    _bucket: int = 0
    #: Suspicious rejections and judged pushes, now and before.
    _now: tuple[int, int] = field(default=(0, 0))
    _before: tuple[int, int] = field(default=(0, 0))

    def add(self, suspicious: int, judged: int, now: float) -> tuple[int, int]:
        """Count pushes.

        Args:
            suspicious: Rejections that a wrong environment may explain.
            judged: All pushes that the provider has accepted or rejected.
            now: Seconds since any fixed instant.

        Returns:
            Both numbers over the window, these pushes included.
        """
        bucket = int(now // BUCKET)
        if bucket != self._bucket:
            self._before = self._now if bucket == self._bucket + 1 else (0, 0)
            self._bucket, self._now = bucket, (0, 0)
        self._now = (self._now[0] + suspicious, self._now[1] + judged)
        return self._now[0] + self._before[0], self._now[1] + self._before[1]


def is_too_much(suspicious: int, judged: int, share: float) -> bool:
    """Return whether no token is to be called dead for a suspicious reason."""
    return suspicious > share * judged
