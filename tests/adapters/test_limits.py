"""No call to a broker waits without end, whatever broker it is."""

import socket
import struct
import threading
import time
from contextlib import suppress

import pytest
from amqp.serialization import dumps
from celery import Celery
from kombu.exceptions import OperationalError

from pushtasks.adapters import broker
from pushtasks.adapters.http import publishing as http
from pushtasks.adapters.limits import broker_limits
from pushtasks.adapters.relay import publishing as relay

#: What a RabbitMQ says until a connection is open, by what it was asked (classes and methods).
START = (10, 10), "ooFSS", (0, 9, {}, "PLAIN", "en_US")
ANSWERS = {
    (10, 11): ((10, 30), "BlB", (0, 131072, 0)),  # start-ok: tune
    (10, 40): ((10, 41), "s", ("",)),  # open: open-ok
}


def frame(method, layout, arguments):
    body = struct.pack(">HH", *method) + dumps(layout, arguments)
    return struct.pack(">BHI", 1, 0, len(body)) + body + b"\xce"


def fall_silent(connection):
    """Open the connection as RabbitMQ does, and answer nothing then."""
    with suppress(OSError, struct.error), connection, connection.makefile("rb") as received:
        received.read(8)
        connection.sendall(frame(*START))
        while True:
            _, _, size = struct.unpack(">BHI", received.read(7))
            asked = struct.unpack(">HH", received.read(size + 1)[:4])
            if asked in ANSWERS:
                connection.sendall(frame(*ANSWERS[asked]))


@pytest.fixture
def silent_app():
    """A Celery app whose RabbitMQ lets everybody in, and says nothing more."""

    def serve():
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=fall_silent, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        url = f"amqp://guest:guest@127.0.0.1:{listening.getsockname()[1]}//"
        app = Celery("host", broker=url, backend="disabled://", set_as_current=False)
        app.conf.pushtasks = {}
        yield app


@pytest.fixture
def soon():
    """Fail if a test takes long."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 10


@pytest.mark.usefixtures("soon")
def test_a_relay_does_not_wait_for_a_silent_broker(silent_app, monkeypatch):
    monkeypatch.setattr(relay, "TIMEOUT", 0.2)
    publisher = relay.Publisher(silent_app, "default", 1)

    with pytest.raises(OperationalError):
        publisher.has_room()


@pytest.mark.usefixtures("soon")
def test_a_server_does_not_wait_for_a_silent_broker(silent_app, monkeypatch):
    monkeypatch.setattr(http, "ANSWER_TIMEOUT", 0.2)
    http.bound_waiting(silent_app)

    with pytest.raises(OperationalError):
        http.publish(silent_app, "pushtasks.send_apns", {"token": "ab" * 32, "payload": "Hi"})


@pytest.mark.usefixtures("soon")
def test_whoever_counts_what_waits_does_not_wait_for_a_silent_broker(silent_app, monkeypatch):
    monkeypatch.setattr(broker, "ANSWER_TIMEOUT", 0.2)

    with pytest.raises(broker.Unreachable, match="does not answer"):
        broker.tasks_waiting(silent_app, ["push"])


@pytest.mark.parametrize(
    ("url", "limits"),
    [
        ("redis://b", {"socket_timeout": 5.0, "socket_connect_timeout": 3.0}),
        ("amqp://b", {"read_timeout": 5.0, "write_timeout": 5.0}),
        ("memory://", {}),
        ("nonsense://", {}),
    ],
)
def test_each_transport_is_told_in_its_own_words(url, limits):
    app = Celery("host", broker=url, set_as_current=False)

    assert broker_limits(app, 5.0, 3.0) == limits
