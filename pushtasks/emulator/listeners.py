"""The sockets that clients connect to, and what speaks on each connection."""

import asyncio
import errno
import socket
import ssl
from typing import Final

from pushtasks.emulator.exchange import Service
from pushtasks.emulator.feedback import FeedbackConnection, FeedbackService
from pushtasks.emulator.files import EmulatorError
from pushtasks.emulator.http2 import Http2Connection
from pushtasks.emulator.http11 import Http11Connection
from pushtasks.emulator.tls import chosen_protocol

#: Bytes that the kernel may hold of what a client of the feedback service has not read.
FEEDBACK_BUFFER: Final = 8192


class EitherConnection(asyncio.Protocol):
    """A connection of which ALPN has yet to say whether it speaks HTTP/2."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand over to the protocol that was agreed on."""
        is_http2 = chosen_protocol(transport) == "h2"
        protocol = (Http2Connection if is_http2 else Http11Connection)(self._service)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class UnbufferedFeedback(asyncio.Protocol):
    """A connection to the feedback service before TLS, below which nothing may pile up either.

    asyncio's own way to TLS would let 64 KiB of records wait there.
    """

    def __init__(self, service: FeedbackService, context: ssl.SSLContext) -> None:
        self._service = service
        self._context = context

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with the TLS handshake."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise
        transport.set_write_buffer_limits(high=0)
        self._task = asyncio.ensure_future(self._start(transport))

    async def _start(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        protocol = FeedbackConnection(self._service)
        try:
            encrypted = await loop.start_tls(transport, protocol, self._context, server_side=True)
        except OSError:  # a client without our certificate, or one that has gone
            return
        if encrypted is not None and not encrypted.is_closing():
            protocol.connection_made(encrypted)


def bind(name: str, host: str, port: int) -> socket.socket:
    """Return a socket that is ready to listen.

    Args:
        name: The service's, for messages.
        host: Address or name to listen on.
        port: 0 for any free one.

    Raises:
        EmulatorError: There is no such port, or it is taken, or the host is not ours.
    """
    if port not in range(65536):
        raise EmulatorError(f"the {name} port must be from 0 to 65535, not {port}")
    try:
        return _bound_socket(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise EmulatorError(
                f"port {port} of {host} is taken: choose another {name} port, or 0 for a free one"
            ) from None
        raise EmulatorError(f"{name} cannot listen on {host}, port {port}: {error}") from None


def _bound_socket(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # Named in full: asyncio sets TCP_NODELAY only on what says that it is TCP.
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
