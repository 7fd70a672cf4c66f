"""Locks in Redis that end by themselves, for work that one process at a time is to do."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pushtasks.errors import PushError
from pushtasks.net.deadline import Deadline
from pushtasks.store import Store, StoreUnavailable

#: Seconds for which something is ours after a sign of life.
LEASE: Final = 120.0


class Lease:
    """That something is ours for now."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name, self._owner = name, str(uuid.uuid4())
        self._half = Deadline(0)

    def claim(self) -> bool:
        """Return whether it is ours for the time of a lease from now.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        self._half = Deadline(LEASE / 2)
        return self._store.claim(self._name, self._owner, LEASE)

    def renew(self) -> None:
        """Give a sign of life; Redis is asked only once half of the time is over."""
        if not self._half.left:
            with suppress(StoreUnavailable):
                self.claim()

    def release(self) -> None:
        """Let others have it; if Redis is away, time will do so."""
        with suppress(StoreUnavailable):
            self._store.release(self._name, self._owner)


@contextmanager
def leased(store: Store, name: str) -> Iterator[Lease]:
    """Hold something for the time of the block, and beyond a lease if it is renewed.

    Raises:
        PushError: Somebody else has it.
        StoreUnavailable: Redis cannot be reached.
    """
    lease = Lease(store, name)
    if not lease.claim():
        raise PushError(f"{name} is under way elsewhere, or ended badly in the last {LEASE:.0f} s")
    try:
        yield lease
    finally:
        lease.release()
