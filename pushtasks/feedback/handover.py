"""Delivers what the feedback stream holds to one consumer, until nothing is left or it fails.

At least once: an entry is acknowledged when the consumer has taken it. What a consumer fails on
comes again, in batches that are halved with each failure, until entries that no consumer can take
stand alone. A delivery that has failed too often is cut short, and the next one begins behind the
place where it was: so such entries hold nothing else up, however many they are.
"""

import time
from collections.abc import Iterator
from typing import Final

from celery import Celery

from pushtasks.feedback.consumers import hand_over
from pushtasks.news import Entry
from pushtasks.store import Group, Store
from pushtasks.store.entries import order_of
from pushtasks.store.turns import BEGINNING, Turn

#: Entries that a consumer is given at a time, at the most.
BATCH: Final = 100
#: Batches that a consumer may fail on before it is left alone for a while.
FAILURES: Final = 3
#: Seconds after which a delivery makes room for other tasks, if there is more to deliver.
LONGEST: Final = 60.0
#: Seconds until a delivery comes back that found another one at work.
BUSY: Final = 2.0


def deliver(celery_app: Celery, store: Store, consumer: str, owner: str) -> float | None:
    """Deliver to one consumer.

    Args:
        celery_app: Whose settings name the consumer, and whose broker it is reached by.
        store: Where the stream is.
        consumer: One of `consumers`.
        owner: Who delivers; the same again when its task comes a second time.

    Returns:
        Seconds after which to deliver again; None if nothing is left, or another delivery is on its
        way.

    Raises:
        StoreUnavailable: Redis cannot be reached.
    """
    turn = store.turn(consumer)
    pause = turn.begin() or _deliver_now(celery_app, turn, store.group(consumer), owner)
    if pause is None or not turn.schedule(pause):
        return None
    return pause


def _deliver_now(celery_app: Celery, turn: Turn, group: Group, owner: str) -> float | None:
    if not turn.claim(owner):
        return BUSY
    try:
        return _Delivery(celery_app, turn, group, owner).run()
    finally:
        turn.release(owner)


class _Delivery:
    """One delivery, by the one that holds the lock."""

    def __init__(self, celery_app: Celery, turn: Turn, group: Group, owner: str) -> None:
        self._celery_app = celery_app
        self._turn = turn
        self._group = group
        self._owner = owner
        self._failed = 0

    def run(self) -> float | None:
        """Deliver; return the seconds until there is to be more, None if nothing is left."""
        failures, end = self._turn.failures(), time.monotonic() + LONGEST
        place = BEGINNING
        for entries in self._batches(max(1, BATCH >> min(failures, 30)), self._turn.place()):
            self._deliver(entries)
            if self._failed == FAILURES:
                place = entries[-1].id
                break
            if time.monotonic() > end or not self._turn.claim(self._owner):
                return 0.0
        if self._failed:
            return self._turn.fail(failures, place)
        if failures:
            self._turn.succeed()
        return None

    def _batches(self, size: int, place: str) -> Iterator[list[Entry]]:
        """First what was taken before and never acknowledged, then what is new.

        Of the former what is behind the place, and the rest in the end.
        """
        yield from self._left(size, place)
        while entries := self._group.take_new(BATCH):
            yield entries
        if place != BEGINNING:
            yield from self._left(size, BEGINNING, until=place)

    def _left(self, size: int, last: str, until: str | None = None) -> Iterator[list[Entry]]:
        while entries := self._group.own(size, last):
            last = entries[-1].id
            if until is not None:
                entries = [one for one in entries if order_of(one.id) <= order_of(until)]
                if not entries:
                    return
            yield entries

    def _deliver(self, entries: list[Entry]) -> None:
        taken = hand_over(self._celery_app, self._group.name, entries)
        self._group.ack(entry.id for entry in taken)
        self._failed += len(taken) < len(entries)
