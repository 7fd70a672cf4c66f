"""A plain HTTP/2 client for the emulator's own tests: h2 over a blocking TLS socket."""

import json
import os
import socket
import ssl
import time
from contextlib import ExitStack

import h2.config
import h2.connection
import h2.events
import jwt
import pytest
from hyperframe.frame import Frame, GoAwayFrame

TOPIC = "com.example.app"
DEVICE = "ab" * 32


def provider_token(key, *, key_id="EMULATOR01", team_id="TEAM123456", age=0.0, **claims):
    payload = {"iss": team_id, "iat": int(time.time() - age), **claims}
    return jwt.encode(payload, key, algorithm="ES256", headers={"kid": key_id})


class Answered:
    """What came back on one stream."""

    def __init__(self):
        self.headers = {}
        self.body = b""
        self.has_ended = False
        self.error_code = None

    @property
    def status(self):
        return int(self.headers[":status"])

    def json(self):
        return json.loads(self.body)


class Http2Client:
    """One connection; every wait is bounded by the socket's timeout."""

    def __init__(self, url, directory, *, certificate=False, alpn=("h2",)):
        host, port = url.removeprefix("https://").split(":")
        context = ssl.create_default_context(cafile=directory / "ca.pem")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if certificate:
            context.load_cert_chain(directory / "client.pem", directory / "client-key.pem")
        plain = socket.create_connection((host, int(port)), timeout=5)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        #: The same connection below TLS, which hides a reset.
        self.tcp = socket.socket(fileno=os.dup(plain.fileno()))
        self.tcp.settimeout(5)
        self.socket = context.wrap_socket(plain, server_hostname=host)
        config = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.authority = f"{host}:{port}"
        self.streams = {}
        self.unparsed = b""
        self.goaway = None
        self.is_acknowledged = False
        self.flush()

    def read_settings(self):
        self.read_until(lambda: self.max_streams < 2**31)

    def close(self):
        self.tcp.close()
        self.socket.close()

    @property
    def max_streams(self):
        return self.h2.remote_settings.max_concurrent_streams

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def submit(self, path, headers=(), body=b"{}", *, method="POST"):
        """Open a stream, whatever the limit, and return its id; `flush` sends it.

        With None for a body, the stream stays open for one.
        """
        stream_id = self.h2.get_next_available_stream_id()
        self.streams[stream_id] = Answered()
        fields = [
            (":method", method),
            (":path", path),
            (":scheme", "https"),
            *([(":authority", self.authority)] if self.authority else []),
            *headers,
        ]
        self.h2.remote_settings.max_concurrent_streams, limit = 2**31, self.max_streams
        self.h2.remote_settings.acknowledge()
        self.h2.send_headers(stream_id, fields, end_stream=body == b"")
        self.h2.remote_settings.max_concurrent_streams = limit
        self.h2.remote_settings.acknowledge()
        if body:
            self.send_body(stream_id, body)
        return stream_id

    def send_body(self, stream_id, body):
        """Send a body as fast as the server's windows allow."""
        while body:
            self.read_until(lambda: self.h2.local_flow_control_window(stream_id))
            size = min(
                self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size
            )
            self.h2.send_data(stream_id, body[:size], end_stream=len(body) <= size)
            body = body[size:]
            if body:
                self.flush()

    def read(self):
        """Take in what has come; False at the end of the connection."""
        data = self.socket.recv(65536)
        if not data:
            return False
        for event in self.h2.receive_data(self.without_goaway(data)):
            self.handle(event)
        self.flush()
        return True

    def without_goaway(self, data):
        """Return the whole frames that have come but GOAWAY, after which h2 takes no answers."""
        self.unparsed += data
        frames = b""
        while len(self.unparsed) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self.unparsed[:9]))
            if len(self.unparsed) < 9 + length:
                break
            if isinstance(frame, GoAwayFrame):
                frame.parse_body(memoryview(self.unparsed[9 : 9 + length]))
                self.goaway = frame
            else:
                frames += self.unparsed[: 9 + length]
            self.unparsed = self.unparsed[9 + length :]
        return frames

    def drain(self):
        """Read below TLS until the end or an error."""
        while self.tcp.recv(65536):
            pass

    def handle(self, event):
        answered = self.streams.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.ResponseReceived():
                answered.headers = dict(event.headers)
            case h2.events.DataReceived():
                answered.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                answered.has_ended = True
            case h2.events.PingAckReceived():
                self.is_acknowledged = True
            case h2.events.StreamReset():
                answered.has_ended, answered.error_code = True, event.error_code

    def read_until(self, holds):
        while not holds():
            if not self.read():
                raise EOFError("the connection ended first")

    def ping(self):
        """Return once the server has read all that was sent."""
        self.is_acknowledged = False
        self.h2.ping(b"01234567")
        self.flush()
        self.read_until(lambda: self.is_acknowledged)

    def wait(self, *stream_ids):
        """Return what came back on these streams, once all are over."""
        self.read_until(lambda: all(self.streams[number].has_ended for number in stream_ids))
        return [self.streams[number] for number in stream_ids]

    def request(self, path, headers=(), body=b"{}", *, method="POST"):
        stream_id = self.submit(path, headers, body, method=method)
        self.flush()
        return self.wait(stream_id)[0]


class ApnsClient(Http2Client):
    """A connection to APNs with a provider token."""

    def __init__(self, emulator, **options):
        self.key = (emulator.directory / "apns-key.p8").read_text()
        self.authorization = f"bearer {provider_token(self.key)}"
        super().__init__(emulator.endpoints.apns, emulator.directory, **options)

    def push_headers(self, **changes):
        """Return the headers of a sound alert; None leaves one out, `_` stands for `-`."""
        headers = {
            "authorization": self.authorization,
            "apns-topic": TOPIC,
            "apns-push-type": "alert",
        }
        headers |= {name.replace("_", "-"): text for name, text in changes.items()}
        return [(name, text) for name, text in headers.items() if text is not None]

    def push(self, token=DEVICE, body=b'{"aps":{"alert":"Hi"}}', **changes):
        return self.request(f"/3/device/{token}", self.push_headers(**changes), body)

    def push_many(self, count, **changes):
        """Send so many pushes with one write and return the ids of their streams."""
        headers = self.push_headers(**changes)
        numbers = [self.submit(f"/3/device/{DEVICE}", headers) for _ in range(count)]
        self.flush()
        return numbers


@pytest.fixture
def connections():
    """What is closed at the end of the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def connect(emulator, connections):
    """Open a connection to APNs."""

    def open_connection(*, reads_settings=True, **options):
        client = ApnsClient(emulator, **options)
        connections.callback(client.close)
        if reads_settings:
            client.read_settings()
        return client

    return open_connection


@pytest.fixture
def connect_to_google(emulator, connections):
    """Open an HTTP/2 connection to FCM and GCM."""

    def open_connection():
        client = Http2Client(emulator.endpoints.fcm, emulator.directory)
        connections.callback(client.close)
        client.read_settings()
        return client

    return open_connection


@pytest.fixture
def apns(connect):
    """A connection that has all its streams."""
    client = connect()
    assert client.push().status == 200
    return client


@pytest.fixture
def sign():
    return provider_token
