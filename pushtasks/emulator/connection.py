"""What connections have in common, whatever they speak."""

import asyncio
import socket
import struct
from typing import Final, Protocol

from pushtasks.emulator.exchange import Answer, Request, Service
from pushtasks.emulator.faults import ServiceFaults
from pushtasks.emulator.tls import certificate_topic
from pushtasks.emulator.traffic import Connections

#: SO_LINGER on, 0 seconds: closing throws away what is unsent and resets the connection.
_RESET: Final = struct.pack("ii", 1, 0)


class Faulty(Protocol):
    """A service, as far as its faults and its connections go."""

    @property
    def faults(self) -> ServiceFaults:
        """What goes wrong there."""

    @property
    def traffic(self) -> Connections:
        """Who is connected."""


class BaseConnection(asyncio.Protocol):
    """A connection that others can count, break and silence."""

    def __init__(self, service: Faulty) -> None:
        self._faults = service.faults
        self._connections = service.traffic
        self._loop = asyncio.get_running_loop()
        #: Requests or notifications that were read to their end; of feedback, records written.
        self._requests = 0
        self._is_silent = False
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, after the TLS handshake."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise
        self._transport = transport
        self._connections.connection_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection."""
        self._is_closing = True
        self._connections.connection_closed(self)

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
        """Break the connection at once, with a TCP reset; harmless if the other side was first."""
        self._is_closing = True
        connected = self._transport.get_extra_info("socket")
        if connected is not None:  # below TLS it may be gone a turn before we are told
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


class HttpConnection(BaseConnection):
    """A connection over which requests come, whichever HTTP it speaks."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._service = service
        self._traffic = service.traffic

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, after the TLS handshake."""
        super().connection_made(transport)
        self._session = self._service.session(certificate_topic(transport))

    def _judge(self, request: Request) -> Answer:
        """Return a request's answer; from now on, go by the faults of the service it is for."""
        self._requests += 1
        self._faults = self._service.faults_at(request.path)
        return self._session.answer(request)
