"""Some connections to one gateway: which of them takes the next items, and when none does."""

import threading
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from pushtasks.net.connection import CLOSED, Connection, Gateway
from pushtasks.net.deadline import Deadline
from pushtasks.net.tickets import Batch, tickets_of
from pushtasks.results import Verdict

Item = TypeVar("Item")

#: Items without a verdict, over all connections. Who comes when there are more waits.
CAPACITY: Final = 20_000
#: Seconds between looks at whether the threads still live, while a caller waits.
PATROL: Final = 5.0
#: Seconds that a thread has to end after its drain.
GRACE: Final = 1.0

FULL: Final = "too many notifications wait in this process"


class Pool(Generic[Item]):
    """Sends items of any thread over a few connections, those of the process that made it."""

    def __init__(self, gateway: Gateway[Item], size: int, capacity: int = CAPACITY) -> None:
        """Prepare; nothing is opened before the first item.

        Args:
            gateway: Where to.
            size: The most connections.
            capacity: The most items without a verdict.
        """
        self._gateway = gateway
        self._capacity = capacity
        self._held = 0
        self._room = threading.Condition()
        self._is_closed = False
        self._connections = [Connection(gateway, self._release) for _ in range(size)]

    @property
    def opened(self) -> int:
        """How many sockets have been opened so far."""
        return sum(connection.opened for connection in self._connections)

    def exchange(self, items: Sequence[Item], *, confirm: bool = False) -> list[Verdict]:
        """Send items over one connection, in order, and wait for what becomes of them.

        Args:
            items: Any number. Of a list to be confirmed that is longer than a connection's record,
                each part that fits is.
            confirm: Whether to have them confirmed, where the protocol can, instead of listening to
                silence.
        """
        if not items:
            return []
        with self._room:
            refusal = self._wait_for_room()
            if refusal:
                return [Verdict(None, refusal)] * len(items)
            tickets, batch = tickets_of(items, confirm=confirm)
            connection = self._choose()
            try:
                connection.add(tickets)
            except RuntimeError as error:  # perhaps the system has one to spare next time
                return [Verdict(None, f"no thread for the gateway: {error}")] * len(items)
            self._held += len(items)
        return self._result(connection, batch)

    def stop(self, drain: float) -> None:
        """Take nothing more, and have what is on its way settled in so many seconds; don't wait."""
        with self._room:
            self._is_closed = True
            self._room.notify_all()
        for connection in self._connections:
            connection.stop(drain)

    def close(self, drain: float) -> None:
        """Take nothing more, wait up to `drain` seconds for what is on its way, and close."""
        self.stop(drain)
        deadline = Deadline(drain + GRACE)
        for connection in self._connections:
            connection.join(deadline.left)

    def _choose(self) -> Connection[Item]:
        return min(self._connections, key=lambda connection: connection.load)

    def _wait_for_room(self) -> str | None:
        timeout = self._gateway.timeout
        self._room.wait_for(lambda: self._held < self._capacity or self._is_closed, timeout)
        if self._is_closed:
            return CLOSED
        return FULL if self._held >= self._capacity else None

    def _release(self, count: int) -> None:
        with self._room:
            self._held -= count
            self._room.notify_all()

    @staticmethod
    def _result(connection: Connection[Item], batch: Batch) -> list[Verdict]:
        """Wait; a thread that lives gives every item a verdict in the end."""
        while True:
            try:
                return batch.future.result(PATROL)
            except TimeoutError:
                if not connection.is_alive and not batch.future.done():
                    return batch.verdicts
