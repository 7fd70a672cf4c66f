"""The pretend gateway, by bytes over TLS."""

import os
import socket
import ssl
import struct
import time
from contextlib import ExitStack

import pytest

from pushtasks.emulator import reasons
from pushtasks.wire.apns_binary import STATUSES

PAYLOAD = b'{"aps":{"alert":"hi"}}'
GOOD = bytes(range(32))
BAD = bytes(range(32, 64))


def item(number, data):
    return struct.pack(">BH", number, len(data)) + data


def framed(token=GOOD, payload=PAYLOAD, identifier=42, expiration=1400000000, priority=10):
    items = item(1, token) + item(2, payload)
    items += item(3, struct.pack(">I", identifier)) + item(4, struct.pack(">I", expiration))
    items += item(5, bytes([priority]))
    return struct.pack(">BI", 2, len(items)) + items


def simple(token=GOOD, payload=PAYLOAD):
    return struct.pack(">BH", 0, len(token)) + token + struct.pack(">H", len(payload)) + payload


def enhanced(token=GOOD, payload=PAYLOAD, identifier=42):
    return struct.pack(">BII", 1, identifier, 1400000000) + simple(token, payload)[1:]


def series(count, *, bad=None):
    """Return so many notifications with identifiers from 1; the one named has a bad token."""
    return b"".join(
        framed(BAD if number == bad else GOOD, identifier=number) for number in range(1, count + 1)
    )


class GatewayClient:
    """One connection; every wait is bounded."""

    def __init__(self, emulator, *, certificate="client"):
        host, port = emulator.endpoints.gateway.split(":")
        context = ssl.create_default_context(cafile=emulator.directory / "ca.pem")
        if certificate:
            folder = emulator.directory
            context.load_cert_chain(
                folder / f"{certificate}.pem", folder / f"{certificate}-key.pem"
            )
        plain = socket.create_connection((host, int(port)), timeout=5)
        #: The same connection below TLS, which hides a reset.
        self.tcp = socket.socket(fileno=os.dup(plain.fileno()))
        self.tcp.settimeout(5)
        try:
            self.socket = context.wrap_socket(plain, server_hostname=host)
        except OSError:
            self.close_tcp(plain)
            raise

    def close_tcp(self, plain):
        self.tcp.close()
        plain.close()

    def send(self, data):
        self.socket.sendall(data)

    def read_all(self):
        """Return what comes until the end."""
        return b"".join(iter(lambda: self.socket.recv(64), b""))

    def read_error(self):
        data = b""
        while len(data) < 6:
            part = self.socket.recv(6 - len(data))
            assert part, "the connection ended first"
            data += part
        return data.hex(" ", -4)

    def drain(self):
        while self.tcp.recv(65536):
            pass

    def close(self):
        self.close_tcp(self.socket)


@pytest.fixture
def open_gateway(emulator):
    """Open a connection."""
    with ExitStack() as stack:

        def connect(**options):
            client = GatewayClient(emulator, **options)
            stack.callback(client.close)
            return client

        yield connect


@pytest.fixture
def gateway(open_gateway):
    return open_gateway()


@pytest.fixture
def wait_for(emulator):
    """Wait until so many notifications have arrived, and return what is known of them."""

    def wait(count):
        wait_until(lambda: emulator.control("GET", "/received/count")["count"] >= count)
        return emulator.received()

    return wait


def wait_until(holds):
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def stats(emulator):
    return emulator.control("GET", "/stats")["gateway"]


# Connections --------------------------------------------------------------------------------------


def test_without_a_client_certificate_there_is_no_connection(open_gateway, emulator):
    with pytest.raises(OSError, match=r"(?i)ssl|reset|eof"):
        open_gateway(certificate=None)
    assert stats(emulator)["connections_opened"] == 0


def test_a_certificate_of_another_authority_is_refused(open_gateway, emulator, tmp_path):
    trustme = pytest.importorskip("trustme")
    issued = trustme.CA().issue_cert("example.com")
    issued.cert_chain_pems[0].write_to_path(emulator.directory / "foreign.pem")
    issued.private_key_pem.write_to_path(emulator.directory / "foreign-key.pem")
    with pytest.raises(OSError, match=r"(?i)ssl|reset|eof"):
        open_gateway(certificate="foreign")


def test_connections_are_counted(open_gateway, emulator):
    first, second = open_gateway(), open_gateway()
    wait_until(lambda: stats(emulator)["connections_open"] == 2)
    first.close()
    second.close()
    wait_until(lambda: stats(emulator)["connections_open"] == 0)
    assert stats(emulator) == {"connections_opened": 2, "connections_open": 0, "discarded": 0}


# Good notifications -------------------------------------------------------------------------------


def test_good_notifications_of_every_command_are_taken_in_silence(gateway, wait_for):
    gateway.send(simple() + enhanced(identifier=7) + framed(priority=5))
    entries = wait_for(3)
    assert [entry["frame"] for entry in entries] == [
        {"command": 0, "identifier": 0, "expiration": None, "priority": None},
        {"command": 1, "identifier": 7, "expiration": 1400000000, "priority": None},
        {"command": 2, "identifier": 42, "expiration": 1400000000, "priority": 5},
    ]
    for entry in entries:
        assert entry.keys() == {"n", "service", "token", "payload", "frame", "answer", "at"}
        assert (entry["service"], entry["token"]) == ("gateway", GOOD.hex())
        assert entry["payload"] == {"aps": {"alert": "hi"}}
        assert entry["answer"] == {"status": 0, "reason": None}
    gateway.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        gateway.socket.recv(1)


def test_a_notification_may_arrive_byte_by_byte(gateway, wait_for):
    for byte in framed():
        gateway.send(bytes([byte]))
    assert wait_for(1)[0]["frame"]["identifier"] == 42


# Bad ones -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "response"),
    [
        (framed(b""), "08020000 002a"),
        (framed(payload=b""), "08040000 002a"),
        (framed(GOOD[:31]), "08050000 002a"),
        (framed(GOOD + b"x"), "08050000 002a"),
        (framed(payload=b"x" * 2049), "08070000 002a"),
        (enhanced(payload=b"x" * 257), "08070000 002a"),
        (framed(priority=7), "08800000 002a"),
        (framed()[:5] + b"\x09" + framed()[6:], "08800000 002a"),
        (bytes.fromhex("02 00000001 09"), "08800000 0000"),
        (
            bytes.fromhex(
                "02 00000018 01 0000 02 0000 03 0004 ffffffff 04 0004 00000000 05 0001 0a"
            ),
            "0802ffff ffff",
        ),
    ],
)
def test_a_bad_notification_is_named_in_one_error_response(gateway, data, response):
    gateway.send(data)
    assert gateway.read_error() == response


@pytest.mark.parametrize("payload", [b"x" * 2048, b"{}"])
def test_a_payload_of_the_limit_is_taken(gateway, wait_for, payload):
    gateway.send(framed(payload=payload))
    assert wait_for(1)[0]["answer"]["status"] == 0


@pytest.mark.parametrize("data", [b"\x07", b"\xff\xff", simple(b""), simple(payload=b"x" * 257)])
def test_what_cannot_be_answered_ends_the_connection_without_bytes(gateway, data):
    gateway.send(data)
    assert gateway.read_all() == b""


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        *((name, status) for status, name in STATUSES.items()),
        *dict.fromkeys(
            (
                "Unregistered",
                "BadDeviceToken",
                "NotRegistered",
                "UNREGISTERED",
                "InvalidRegistration",
            ),
            8,
        ).items(),
        *dict.fromkeys(("ServiceUnavailable", "InternalServerError", "Unavailable"), 1).items(),
        ("NobodyKnows", 255),
    ],
)
def test_a_scripted_device_earns_the_status_of_its_reason(gateway, emulator, reason, status):
    emulator.control("PUT", f"/tokens/{BAD.hex().upper()}", {"reason": reason})
    gateway.send(framed(BAD))
    assert gateway.read_error() == f"08{status:02x}0000 002a"
    assert emulator.received()[0]["answer"] == {"status": status, "reason": STATUSES[status]}
    assert reasons.gateway_status(reason) == status


def test_a_script_holds_as_often_as_it_says(open_gateway, emulator, wait_for):
    emulator.control("PUT", f"/tokens/{BAD.hex()}", {"reason": "ProcessingError", "times": 1})
    first, second = open_gateway(), open_gateway()
    first.send(framed(BAD))
    assert first.read_error() == "08010000 002a"
    second.send(framed(BAD))
    assert wait_for(2)[1]["answer"]["status"] == 0


def test_what_follows_a_bad_one_is_thrown_away(gateway, emulator):
    emulator.control("PUT", f"/tokens/{BAD.hex()}", {"reason": "Unregistered"})
    gateway.send(series(100, bad=10))
    assert gateway.read_error() == "08080000 000a"
    gateway.send(series(50))
    wait_until(lambda: stats(emulator)["discarded"] == 140)
    statuses = [entry["answer"]["status"] for entry in emulator.received()]
    assert statuses == [0] * 9 + [8]
    assert gateway.read_all() == b""


def test_an_error_response_survives_a_client_that_goes_on_writing(gateway, emulator):
    emulator.control("PUT", f"/tokens/{BAD.hex()}", {"reason": "Unregistered"})
    gateway.send(series(1, bad=1))
    for _ in range(20):
        gateway.send(series(500))
    assert gateway.read_error() == "08080000 0001"


# Faults -------------------------------------------------------------------------------------------


def test_a_delayed_error_leaves_time_to_lose_notifications(gateway, emulator):
    emulator.control("PUT", f"/tokens/{BAD.hex()}", {"reason": "Unregistered"})
    emulator.control("POST", "/faults", {"service": "gateway", "delay": 0.2})
    began = time.monotonic()
    gateway.send(series(1, bad=1))
    gateway.send(series(30))
    assert gateway.read_error() == "08080000 0001"
    assert time.monotonic() - began >= 0.2
    assert stats(emulator)["discarded"] == 30
    assert emulator.control("GET", "/received/count") == {"count": 1}


def test_a_reset_comes_without_bytes(gateway, emulator):
    emulator.control("POST", "/faults", {"service": "gateway", "reset_after": 3})
    gateway.send(series(5))
    with pytest.raises(ConnectionResetError):
        gateway.drain()
    assert emulator.control("GET", "/received/count") == {"count": 3}


def test_a_close_comes_without_bytes(open_gateway, emulator, wait_for):
    emulator.control("POST", "/faults", {"service": "gateway", "close_after": 2, "times": 1})
    closed, healthy = open_gateway(), open_gateway()
    closed.send(series(2))
    assert closed.read_all() == b""
    healthy.send(series(3))
    assert len(wait_for(5)) == 5


def test_a_shutdown_names_the_last_one_that_was_processed(gateway, emulator):
    emulator.control("POST", "/faults", {"service": "gateway", "shutdown_every": 4})
    gateway.send(series(10))
    assert gateway.read_error() == "080a0000 0004"
    wait_until(lambda: stats(emulator)["discarded"] == 6)
    assert [entry["answer"]["status"] for entry in emulator.received()] == [0] * 4


def test_errors_may_name_no_identifier(gateway, emulator):
    emulator.control("POST", "/faults", {"service": "gateway", "identifier_zero": True})
    gateway.send(framed(b""))
    assert gateway.read_error() == "08020000 0000"


def test_a_stalled_gateway_reads_nothing(gateway, emulator):
    emulator.control("POST", "/faults", {"service": "gateway", "stall": True})
    gateway.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        gateway.send(series(500) * 500)
    assert emulator.control("GET", "/received/count") == {"count": 0}


def test_a_connection_that_was_stalled_is_forgotten_once_it_is_closed(gateway, emulator):
    emulator.control("POST", "/faults", {"service": "gateway", "stall": True})
    gateway.send(series(2))
    emulator.control("DELETE", "/faults")
    gateway.close()
    wait_until(lambda: stats(emulator)["connections_open"] == 0)
    assert emulator.control("GET", "/received/count") == {"count": 0}
