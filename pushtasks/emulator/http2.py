"""One HTTP/2 connection of a client: frames are h2's work, policy the service's, faults ours.

Everything that one wake-up brings is answered in one write. Nothing here waits: a delayed answer is
a timer of the event loop, so a thousand of them run side by side.
"""

import asyncio
from typing import Final

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from pushtasks.emulator.connection import HttpConnection
from pushtasks.emulator.exchange import Answer, Service, has_body
from pushtasks.emulator.http2_frames import Frames, Stream, is_malformed

#: Seconds between the last answer after a GOAWAY and the end of the connection: closed at once,
#: with data of the client unread, TCP would take back what is still on its way.
LINGER: Final = 0.25
#: Bytes that a client may send before it needs our leave; the protocol begins with 65,535.
CONNECTION_WINDOW: Final = 2**24


class Http2Connection(HttpConnection):
    """One connection, from the TLS handshake to its end."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._streams: dict[int, Stream] = {}
        #: Streams that the client has opened, those refused included.
        self._begun = 0
        #: What the client's windows have not let out yet, by stream.
        self._unsent: dict[int, memoryview] = {}
        #: The stream named in our GOAWAY; those above it do not exist.
        self._last_stream: int | None = None
        self._cap: int | None = None
        self._cap_fault: object = None
        self._flush_is_due = False

    # Called by asyncio --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with our SETTINGS."""
        super().connection_made(transport)
        self._take_cap()
        self._announced = self._limit()
        self._h2 = Frames(self._announced)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - 65_535)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take in whatever has come and answer all of it with one write."""
        if self._is_closing or self._stalls():
            return
        try:
            for event in self._h2.receive_data(data):
                self._handle(event)
        except ProtocolError:  # the client's, or ours for going on after its GOAWAY
            self._close()
        else:
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._forget_all()

    # Called by others ---------------------------------------------------------------------------

    def faults_changed(self) -> None:
        """Tell the client at once if it may open fewer or more streams from now on."""
        self._take_cap()
        self._flush()

    # Events -------------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._request_received(event)
            case DataReceived():
                self._data_received(event)
            case StreamEnded():
                self._stream_ended(event)
            case StreamReset():
                self._stream_reset(event)
            case WindowUpdated() | RemoteSettingsChanged():
                self._h2.limit_header_table()
                self._window_changed(event)
            case ConnectionTerminated():
                self._close()  # h2 sends nothing after a client's GOAWAY

    def _request_received(self, event: RequestReceived) -> None:
        if self._last_stream is not None:
            return
        stream_id = event.stream_id
        if is_malformed(event.headers):
            self._h2.reset_stream(stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        self._begun += 1
        refuse = self._faults.refuse
        if len(self._streams) >= self._announced or (
            refuse is not None and self._begun % refuse.value == 0 and refuse.take()
        ):
            self._h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            self._traffic.stream_refused()
            return
        self._streams[stream_id] = Stream(event.headers)
        self._traffic.stream_opened()
        goaway = self._faults.goaway
        if goaway is not None and self._begun % goaway.value.every == 0 and goaway.take():
            self._say_goaway(stream_id, goaway.value.body)

    def _data_received(self, event: DataReceived) -> None:
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.receive(event.data)

    def _stream_ended(self, event: StreamEnded) -> None:
        stream_id = event.stream_id
        stream = self._streams.get(stream_id)
        if stream is None or self._is_closing:
            return
        request = stream.request()
        answer = self._judge(request)
        if not has_body(request.method, answer.status):
            answer = answer._replace(body=b"")
        if self._is_to_reset():
            self.abort()
        elif (delay := self._delay()) is not None:
            stream.timer = self._loop.call_later(delay, self._answer_late, stream_id, answer)
        else:
            self._answer(stream_id, answer)

    def _stream_reset(self, event: StreamReset) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            if stream.timer is not None:
                stream.timer.cancel()
            self._forget(event.stream_id)

    def _window_changed(self, event: WindowUpdated | RemoteSettingsChanged) -> None:
        stream_id = event.stream_id if isinstance(event, WindowUpdated) else None
        if stream_id in self._unsent:
            self._send_body(stream_id)
        elif not stream_id:
            for waiting in list(self._unsent):
                self._send_body(waiting)

    # Answers ------------------------------------------------------------------------------------

    def _answer(self, stream_id: int, answer: Answer) -> None:
        headers = [(":status", str(answer.status)), *answer.headers]
        try:
            self._h2.send_headers(stream_id, headers, end_stream=not answer.body)
        except StreamClosedError:  # the client's reset came along with its request
            self._forget(stream_id)
            return
        if answer.body:
            self._unsent[stream_id] = memoryview(answer.body)
            self._send_body(stream_id)
        else:
            self._forget(stream_id)

    def _answer_late(self, stream_id: int, answer: Answer) -> None:
        self._answer(stream_id, answer)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _send_body(self, stream_id: int) -> None:
        """Send as much of an answer's body as the client's windows allow."""
        try:
            self._send_parts(stream_id, self._unsent[stream_id])
        except StreamClosedError:  # the client's reset came along with its leave to send
            self._forget(stream_id)

    def _send_parts(self, stream_id: int, unsent: memoryview) -> None:
        while unsent:
            window = self._h2.local_flow_control_window(stream_id)
            size = min(len(unsent), window, self._h2.max_outbound_frame_size)
            if size <= 0:
                self._unsent[stream_id] = unsent
                return
            part, unsent = unsent[:size], unsent[size:]
            self._h2.send_data(stream_id, bytes(part), end_stream=not unsent)
        self._forget(stream_id)

    def _forget(self, stream_id: int) -> None:
        del self._streams[stream_id]
        self._unsent.pop(stream_id, None)
        self._traffic.streams_closed()

    def _forget_all(self) -> None:
        for stream in self._streams.values():
            if stream.timer is not None:
                stream.timer.cancel()
        self._traffic.streams_closed(len(self._streams))
        self._streams.clear()
        self._unsent.clear()

    def _flush(self) -> None:
        """Write what has gathered, and end the connection if that was the last of it."""
        self._flush_is_due = False
        if self._is_closing or self._stalls():
            return
        limit = self._limit()
        if limit != self._announced:
            self._announced = limit
            self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: limit})
        data = self._h2.data_to_send()
        if data:
            self._transport.write(data)
        if self._last_stream is not None and not self._streams:
            self._is_closing = True
            self._loop.call_later(LINGER, self._transport.close)

    def _close(self) -> None:
        """End the connection after what is to be said."""
        self._is_closing = True
        self._forget_all()
        self._transport.write(self._h2.data_to_send())
        self._transport.close()

    # Faults -------------------------------------------------------------------------------------

    def _limit(self) -> int:
        streams = self._session.streams
        return streams if self._cap is None else min(streams, self._cap)

    def _take_cap(self) -> None:
        fault = self._faults.max_streams
        if fault is not self._cap_fault:
            self._cap_fault = fault
            self._cap = fault.value if fault is not None and fault.take() else None

    def _say_goaway(self, last_stream: int, body: bytes) -> None:
        """Write GOAWAY past h2, which would send no answers after it."""
        self._last_stream = last_stream
        self._traffic.goaway_sent()
        frame = GoAwayFrame(0, last_stream_id=last_stream, additional_data=body)
        self._transport.write(self._h2.data_to_send() + frame.serialize())
