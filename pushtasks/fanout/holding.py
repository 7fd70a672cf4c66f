"""That one process publishes a fan-out and no other: a lock in Redis that ends by itself.

A thread renews it, since a source may take its time for a device. A publisher that is killed holds
it for a few seconds more.
"""

import os
import socket
import threading
import uuid
from contextlib import suppress
from typing import Final, Self

from pushtasks.errors import PushError
from pushtasks.store import StoreUnavailable
from pushtasks.store.fanouts import Fanouts

#: Seconds for which a publisher counts as alive after a sign of life, and between two of them.
LEASE: Final = 10.0
RENEW: Final = 2.5


class Holding:
    """A fan-out in the hands of this publisher, for the time of a `with` block."""

    def __init__(self, fanouts: Fanouts, id_: str) -> None:
        self._fanouts, self._id = fanouts, id_
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._ended = threading.Event()
        self._is_lost = False
        self._thread = threading.Thread(target=self._renew, name="fan-out publisher", daemon=True)

    def claim(self) -> bool:
        """Return whether it is ours from now on.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        return self._fanouts.claim(self._id, self._owner, LEASE)

    def require(self) -> None:
        """See that nobody else has taken over.

        Raises:
            PushError: Somebody has, since Redis did not hear from us for too long.
        """
        if self._is_lost:
            raise PushError(f"fan-out {self._id}: another publisher has taken over from this one")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(StoreUnavailable):  # time will do it
            self._fanouts.release(self._id, self._owner)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW):
            with suppress(StoreUnavailable):
                if not self.claim():
                    self._is_lost = True
                    return
