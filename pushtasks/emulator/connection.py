"""What connections have in common, whichever HTTP they speak."""

import asyncio
import socket
import struct
from typing import Final

from pushtasks.emulator.exchange import Service
from pushtasks.emulator.tls import certificate_topic

#: SO_LINGER on, 0 seconds: closing throws away what is unsent and resets the connection.
_RESET: Final = struct.pack("ii", 1, 0)


class BaseConnection(asyncio.Protocol):
    """A connection that others can count, break and silence."""

    def __init__(self, service: Service) -> None:
        self._faults = service.faults
        self._traffic = service.traffic
        self._service = service
        self._loop = asyncio.get_running_loop()
        #: Requests that were read to their end.
        self._requests = 0
        self._is_silent = False
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, after the TLS handshake."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise
        self._transport = transport
        self._traffic.connection_opened(self)
        self._session = self._service.session(certificate_topic(transport))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection."""
        self._is_closing = True
        self._traffic.connection_closed(self)

    def pause_writing(self) -> None:
        """Read no more from a client that does not read."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def faults_changed(self) -> None:
        """Take notice of the faults in force."""
        self._stalls()

    def abort(self) -> None:
        """Break the connection at once, with a TCP reset."""
        self._is_closing = True
        connected = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def _stalls(self) -> bool:
        """Return whether nothing more comes from us; what a stall has swallowed is lost."""
        stall = self._faults.stall
        if not self._is_silent and stall is not None and stall.take():
            self._is_silent = True
        return self._is_silent

    def _is_to_reset(self) -> bool:
        """Return whether the connection breaks now instead of answering."""
        reset = self._faults.reset
        return reset is not None and self._requests >= reset.value and reset.take()

    def _delay(self) -> float | None:
        """Return for how many seconds an answer is held back, None for not at all."""
        delay = self._faults.delay
        return delay.value if delay is not None and delay.take() else None
