"""The feedback service: whoever connects is read the list of dead tokens, and it is empty then.

Source: Apple (archived), "Binary Provider API".
"""

import struct
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from pushtasks.emulator import checks
from pushtasks.emulator.behaviour import Behaviour
from pushtasks.emulator.connection import BaseConnection
from pushtasks.emulator.traffic import Connections

if TYPE_CHECKING:
    import asyncio

NAME: Final = "feedback"
#: Records that the list holds.
RECORDS_LIMIT: Final = 1_000_000
#: Records per write, some 4 KiB: what a client that dies leaves unread is mostly still on the list.
BATCH: Final = 100
RULES: Final = {"token": checks.DEVICE_TOKEN, "timestamp": checks.SECONDS}
_HEADER: Final = struct.Struct(">IH")


class FeedbackService:
    """Tokens of devices that have gone, each with when APNs noticed."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.faults = behaviour.faults.services[NAME]
        self.traffic = Connections()
        self._records: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, body: Any) -> None:
        """Put records at the end of the list.

        Args:
            body: The parsed body of `POST /feedback`: `{"token": hex, "timestamp": seconds}` or a
                list of them.

        Raises:
            ControlError: It cannot be understood, or the list would be too long; nothing changed.
        """
        records = [_record(entry) for entry in (body if isinstance(body, list) else [body])]
        if len(self._records) + len(records) > RECORDS_LIMIT:
            raise checks.ControlError(f"no more than {RECORDS_LIMIT} records can be on the list")
        self._records.extend(records)

    def take(self, count: int) -> list[bytes]:
        """Take so many records off the list, or all that are left."""
        return [self._records.popleft() for _ in range(min(count, len(self._records)))]

    def clear(self) -> None:
        """Empty the list."""
        self._records.clear()


class FeedbackConnection(BaseConnection):
    """One reading of the list, as fast as the client reads."""

    def __init__(self, service: FeedbackService) -> None:
        super().__init__(service)
        self._service = service
        self._is_paused = False
        self._timer: asyncio.TimerHandle | None = None

    # Called by asyncio --------------------------------------------------------------------------

    def connection_made(self, transport: "asyncio.BaseTransport") -> None:
        """Begin to write, perhaps after a while."""
        super().connection_made(transport)
        self._transport.set_write_buffer_limits(high=1)  # with 0, asyncio's TLS never resumes
        self._timer = self._loop.call_later(self._delay() or 0, self._write)

    def data_received(self, data: bytes) -> None:
        """Ignore it: there is nothing to say here."""

    def eof_received(self) -> None:
        """Let the transport close: a client that closes its half wants nothing more."""

    def pause_writing(self) -> None:
        """Leave on the list what the client is not ready for."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_paused = False
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    # The list -----------------------------------------------------------------------------------

    def _write(self) -> None:
        """Write until the client is not ready for more, or the list is empty."""
        while not (self._is_closing or self._is_paused or self._stalls()):
            records = self._service.take(self._batch())
            self._requests += len(records)
            if records:
                self._transport.write(b"".join(records))
            if self._is_to_reset():
                self.abort()
            elif not records:
                self._is_closing = True
                self._transport.close()

    def _batch(self) -> int:
        """Return how many records may be written at once: no more than until a reset."""
        reset = self._faults.reset
        left = 0 if reset is None else reset.value - self._requests
        return min(BATCH, left) if left > 0 else BATCH


def _record(entry: Any) -> bytes:
    said = checks.check(entry, RULES)
    for key in RULES:
        if said.get(key) is None:
            raise checks.ControlError(f"a record must have a {key}")
    token = bytes.fromhex(said["token"])
    return _HEADER.pack(said["timestamp"], len(token)) + token
