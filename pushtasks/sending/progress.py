"""What a task that is tried again takes along: how often, not before when, what is settled.

It travels as an argument of the task, `_progress`, since a broker's message headers are too small
for the results of a list.
"""

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from pushtasks.errors import InvalidPush


@dataclass(slots=True)
class Progress:
    """The state between two tries of one task."""

    #: Tries that have failed.
    tries: int = 0
    #: Seconds since 1970 before which the provider is not to be asked again.
    not_before: float = 0.0
    #: What was given of the app's rate to what is left; by provider (see `store.rates`).
    slots: dict[str, int] = field(default_factory=dict)
    #: How often it has come in vain while it was to wait for people.
    waits: int = 0
    #: Places, in the list that the caller gave, of the devices that are left; None: all.
    places: list[int] | None = None
    #: Places of those that may have been sent in an earlier try.
    maybe_sent: set[int] = field(default_factory=set)
    #: What is settled of a list, in the form of its `Gathering`.
    gathered: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, carried: object) -> Self:
        """Return the progress that a task was given, or that of a first try.

        Raises:
            InvalidPush: Somebody wrote it by hand.
        """
        if carried is None:
            return cls()
        try:
            progress = cls(**carried)  # type: ignore[arg-type]
            progress.maybe_sent = set(progress.maybe_sent)
        except TypeError:
            raise InvalidPush("_progress is for tries after the first: leave it out") from None
        return progress

    def to_argument(self) -> dict[str, Any]:
        """Return it as the argument of the next try."""
        return {**asdict(self), "maybe_sent": sorted(self.maybe_sent)}

    def wait(self) -> float:
        """Return the seconds that are left until the next try may be made."""
        return max(0.0, self.not_before - time.time())
