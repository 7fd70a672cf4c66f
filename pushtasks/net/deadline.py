"""One time budget for several steps."""

import time


class Deadline:
    """An instant by which something is to be done, counted by the clock that never jumps."""

    def __init__(self, seconds: float) -> None:
        """Begin to count.

        Args:
            seconds: The whole budget.
        """
        self._ends = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, 0 if none."""
        return max(0.0, self._ends - time.monotonic())

    def require(self, what: str) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: None are; `what` says of what, for people.
        """
        left = self.left
        if not left:
            raise TimeoutError(f"{what}: no time left")
        return left
