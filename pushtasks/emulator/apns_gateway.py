"""One connection to the binary gateway: good notifications pass in silence, a bad one ends it.

From the bad one on, all that follows is thrown away without a word, as Apple did; it is read all
the same, because a close with unread bytes resets the connection and can take the error response
away from the client.
"""

from typing import TYPE_CHECKING, Final

from pushtasks.emulator.connection import BaseConnection
from pushtasks.emulator.gateway import ACCEPTED, GatewayService
from pushtasks.emulator.gateway_frames import Frame, FrameError, FrameReader
from pushtasks.wire import apns_binary as wire

if TYPE_CHECKING:
    import asyncio

#: Seconds of silence of a client after an error response, and at the most; then we close.
QUIET: Final = 0.25
LINGER: Final = 1.0


class GatewayConnection(BaseConnection):
    """One connection, from the TLS handshake to its end."""

    def __init__(self, service: GatewayService) -> None:
        super().__init__(service)
        self._service = service
        self._frames = FrameReader()
        #: Whether what comes now is thrown away.
        self._is_over = False
        #: When the last bytes came, in the event loop's time.
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # Called by asyncio --------------------------------------------------------------------------

    def connection_made(self, transport: "asyncio.BaseTransport") -> None:
        """Begin, or say nothing for ever."""
        super().connection_made(transport)
        self.faults_changed()

    def data_received(self, data: bytes) -> None:
        """Take in every notification that is complete."""
        if self._is_closing or self._stalls():
            return
        self._heard_at = self._loop.time()
        self._frames.receive_data(data)
        try:
            while not self._is_closing and (frame := self._frames.next_frame()) is not None:
                self._frame_received(frame)
        except FrameError as error:
            if not self._is_over:
                self._end(self._service.answer_error(error))

    def eof_received(self) -> None:
        """Let the transport close: a client that closes its half wants nothing more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    # Called by others ---------------------------------------------------------------------------

    def faults_changed(self) -> None:
        """Read nothing while a stall holds; afterwards read, if only to see the client leave."""
        if self._stalls() and self._faults.stall is not None:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # Notifications ------------------------------------------------------------------------------

    def _frame_received(self, frame: Frame) -> None:
        if self._is_over:
            self._service.traffic.discarded()
            return
        self._requests += 1
        answer = self._service.answer(frame)
        if self._is_to_reset():
            self.abort()
        elif answer is not ACCEPTED:
            self._end(answer.body)
        elif self._is_to_close():
            self._end(b"")
        elif self._is_to_shut_down():
            self._end(self._service.error(wire.SHUTDOWN, frame.identifier))

    def _is_to_close(self) -> bool:
        close = self._faults.close
        return close is not None and self._requests >= close.value and close.take()

    def _is_to_shut_down(self) -> bool:
        shutdown = self._faults.shutdown
        return shutdown is not None and self._requests % shutdown.value == 0 and shutdown.take()

    # The end ------------------------------------------------------------------------------------

    def _end(self, response: bytes) -> None:
        """Throw away what follows, and end the connection after this response, if there is one."""
        self._is_over = True
        delay = self._delay() if response else None
        if delay is not None:
            self._timer = self._loop.call_later(delay, self._respond, response)
        elif response:
            self._respond(response)
        else:
            self._close()

    def _respond(self, response: bytes) -> None:
        self._transport.write(response)
        self._heard_at = self._loop.time()
        self._linger(until=self._heard_at + LINGER)

    def _linger(self, until: float) -> None:
        """Close once the client is quiet, or at that time of the event loop."""
        now, close_at = self._loop.time(), min(self._heard_at + QUIET, until)
        if now < close_at:
            self._timer = self._loop.call_later(close_at - now, self._linger, until)
        else:
            self._close()

    def _close(self) -> None:
        self._is_closing = True
        self._transport.close()
