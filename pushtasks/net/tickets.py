"""What callers hand to a gateway's connections, and wait for."""

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final, Generic, TypeVar

from pushtasks.results import Verdict

Item = TypeVar("Item")

UNKNOWN: Final = Verdict(None, "no verdict yet", maybe_sent=True)


class Batch:
    """The verdicts of one submission, in the caller's order. One thread delivers them all."""

    __slots__ = ("_missing", "future", "verdicts")

    def __init__(self, size: int) -> None:
        self.future: Future[list[Verdict]] = Future()
        self.future.set_running_or_notify_cancel()  # nobody can cancel it: it is on its way
        self.verdicts: list[Verdict] = [UNKNOWN] * size
        self._missing = size

    def deliver(self, place: int, verdict: Verdict) -> None:
        """Take one verdict."""
        self.verdicts[place] = verdict
        self._missing -= 1
        if not self._missing:
            self.future.set_result(self.verdicts)


class Ticket(Generic[Item]):
    """One item on its way.

    It is settled once, by a verdict for its caller, and lives on in its connection's record: the
    gateway may still refuse it, or throw it away.
    """

    __slots__ = (
        "batch",
        "confirm",
        "end",
        "identifier",
        "is_settled",
        "item",
        "number",
        "place",
        "since",
    )

    def __init__(
        self, item: Item, batch: Batch, place: int, *, since: float, confirm: bool
    ) -> None:
        self.item = item
        self.batch = batch
        self.place = place
        #: Whether silence is not enough.
        self.confirm = confirm
        #: When its caller came.
        self.since = since
        self.is_settled = False
        #: On the connection that it was written to last.
        self.identifier = 0
        #: How many were put on that connection before it.
        self.number = 0
        #: Bytes of that connection up to its last one.
        self.end = 0

    def settle(self, verdict: Verdict) -> None:
        """Hand the caller his verdict."""
        self.is_settled = True
        self.batch.deliver(self.place, verdict)


def tickets_of(items: Sequence[Any], *, confirm: bool) -> tuple[list[Ticket[Any]], Batch]:
    """Return a ticket for each item of a submission, and what gathers their verdicts."""
    batch, now = Batch(len(items)), time.monotonic()
    return [Ticket(one, batch, i, since=now, confirm=confirm) for i, one in enumerate(items)], batch
