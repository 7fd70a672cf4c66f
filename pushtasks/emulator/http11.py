"""One HTTP/1.1 connection, by h11: for the control API and for clients without HTTP/2."""

from typing import TYPE_CHECKING

import h11

from pushtasks.emulator.connection import HttpConnection
from pushtasks.emulator.exchange import BODY_LIMIT, Answer, Request, Service, has_body

if TYPE_CHECKING:
    import asyncio


class Http11Connection(HttpConnection):
    """One connection, from the TLS handshake to its end."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._h11 = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = b""
        self._length = 0
        self._timer: asyncio.TimerHandle | None = None
        #: Bytes that came while an answer was held back.
        self._ahead = 0

    # Called by asyncio --------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        if not (self._is_closing or self._stalls()):
            self._h11.receive_data(data)
            self._advance()
            self._wait_with_reading(len(data))

    def eof_received(self) -> None:
        """Let the transport close: a client that closes its half wants nothing more."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()
        if self._head is not None:
            self._traffic.streams_closed()
            self._head = None

    def _wait_with_reading(self, size: int) -> None:
        """Let no more than a body pile up behind an answer that is held back."""
        if self._timer is not None:
            self._ahead += size
            if self._ahead > BODY_LIMIT:
                self._transport.pause_reading()

    # Events -------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take in what h11 has understood, as far as it goes."""
        while not self._is_closing:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error)
                return
            match event:
                case h11.Request():
                    self._head, self._body, self._length = event, b"", 0
                    self._traffic.stream_opened()
                    self._continue()
                case h11.Data():
                    self._length += len(event.data)
                    self._body = (self._body + event.data)[:BODY_LIMIT]
                case h11.EndOfMessage():
                    self._request_ended()
                case h11.ConnectionClosed():
                    self._close()
                case _:
                    return

    def _continue(self) -> None:
        if self._h11.they_are_waiting_for_100_continue:
            response = h11.InformationalResponse(status_code=100, headers=[])
            self._transport.write(self._h11.send(response) or b"")

    def _request_ended(self) -> None:
        answer = self._judge(self._request())
        if self._is_to_reset():
            self.abort()
        elif (delay := self._delay()) is not None:
            self._timer = self._loop.call_later(delay, self._answer_late, answer)
        else:
            self._answer(answer)

    def _request(self) -> Request:
        assert self._head is not None  # noqa: S101 - a message ends after it began
        headers = [(name.decode(), text.decode("latin-1")) for name, text in self._head.headers]
        return Request(
            self._head.method.decode(),
            self._head.target.decode("latin-1"),
            dict(headers),
            self._body,
            self._length,
            len(dict(headers)) != len(headers),
        )

    # Answers ------------------------------------------------------------------------------------

    def _answer_late(self, answer: Answer) -> None:
        if self._ahead > BODY_LIMIT:
            self._transport.resume_reading()
        self._timer, self._ahead = None, 0
        self._answer(answer)
        self._advance()

    def _answer(self, answer: Answer) -> None:
        if self._stalls():
            return
        self._send(answer)
        self._head = None
        self._traffic.streams_closed()
        if self._h11.our_state is h11.MUST_CLOSE:
            self._close()
        else:
            self._h11.start_next_cycle()

    def _send(self, answer: Answer) -> None:
        headers = [*answer.headers]
        method = self._head.method.decode() if self._head is not None else ""
        body = answer.body if has_body(method, answer.status) else b""
        if answer.status not in {204, 304}:
            headers.append(("content-length", str(len(answer.body))))
        parts = (
            h11.Response(status_code=answer.status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        self._transport.write(b"".join(self._h11.send(part) or b"" for part in parts))

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Say what is wrong with a request that is no HTTP, and close."""
        if self._h11.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = f"{error}\n".encode()
            self._send(Answer(error.error_status_hint, (("connection", "close"),), body))
        self._close()

    def _close(self) -> None:
        self._is_closing = True
        self._transport.close()
