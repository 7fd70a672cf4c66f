"""Tells, while answers are outstanding, which pushes have been accepted by now."""

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from pushtasks.results import Verdict

Answer = TypeVar("Answer")

#: Takes pushes that are accepted, by their place among those sent together; each push once.
Tell = Callable[[list[tuple[int, Verdict]]], None]

#: Seconds between two looks.
INTERVAL: Final = 0.2


class Watch(Generic[Answer]):
    """Looks at the answers of one submission as they fill up, by the thread that waits for them."""

    def __init__(self, read: Callable[[int, Answer], Verdict], tell: Tell, pending: object) -> None:
        """Begin.

        Args:
            read: Turns an answer, and its place, into a verdict.
            tell: Is told what is new.
            pending: What stands in place of an answer that has not come.
        """
        self._read = read
        self._tell = tell
        self._pending = pending
        self._seen: set[int] = set()

    def look(self, answers: Sequence[Answer]) -> None:
        """Tell which pushes have been accepted since the last look."""
        accepted = []
        for place, answer in enumerate(answers):
            if answer is self._pending or place in self._seen:
                continue
            self._seen.add(place)
            verdict = self._read(place, answer)
            if verdict.status is not None and verdict.reason is None:
                accepted.append((place, verdict))
        if accepted:
            self._tell(accepted)
