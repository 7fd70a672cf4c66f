"""The pretend feedback service, by bytes over TLS."""

import os
import socket
import ssl
import struct
import time
from contextlib import ExitStack

import pytest

TOKEN = bytes(range(32))
RECORD = bytes.fromhex(
    "53724e00 0020 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)


class FeedbackClient:
    """One connection; every wait is bounded."""

    def __init__(self, emulator, *, certificate=True, buffer=None):
        host, port = emulator.endpoints.feedback.split(":")
        context = ssl.create_default_context(cafile=emulator.directory / "ca.pem")
        if certificate:
            folder = emulator.directory
            context.load_cert_chain(folder / "client.pem", folder / "client-key.pem")
        plain = socket.socket()
        plain.settimeout(5)
        if buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        plain.connect((host, int(port)))
        self.socket = plain
        try:
            self.socket = context.wrap_socket(plain, server_hostname=host)
        except OSError:
            plain.close()
            raise

    def read_all(self):
        return b"".join(iter(lambda: self.socket.recv(4096), b""))

    def close(self):
        self.socket.close()


@pytest.fixture
def connect(emulator):
    """Open a connection."""
    with ExitStack() as stack:

        def open_connection(**options):
            client = FeedbackClient(emulator, **options)
            stack.callback(client.close)
            return client

        yield open_connection


def put(emulator, count, first=0):
    """Put so many records on the list, each with a number for a timestamp."""
    records = [
        {"token": TOKEN.hex(), "timestamp": number} for number in range(first, first + count)
    ]
    assert emulator.control("POST", "/feedback", records) == {}


def timestamps(data):
    assert len(data) % 38 == 0
    return [number for number, _, _ in struct.iter_unpack(">IH32s", data)]


def left(emulator):
    return emulator.control("GET", "/feedback")["count"]


def stats(emulator):
    return emulator.control("GET", "/stats")["feedback"]


def wait_until(holds):
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_a_record_is_timestamp_length_and_token(emulator, connect):
    record = {"token": TOKEN.hex().upper(), "timestamp": 1400000000}
    emulator.control("POST", "/feedback", record)
    assert connect().read_all() == RECORD


def test_tokens_keep_their_length(emulator, connect):
    records = [{"token": "ab" * size, "timestamp": 1} for size in (1, 100)]
    emulator.control("POST", "/feedback", records)
    expected = b"\0\0\0\x01\0\x01\xab" + b"\0\0\0\x01\0\x64" + b"\xab" * 100
    assert connect().read_all() == expected


def test_an_empty_list_is_an_end_without_bytes(connect):
    assert connect().read_all() == b""


def test_reading_empties_the_list(emulator, connect):
    put(emulator, 5000)
    assert left(emulator) == 5000
    assert timestamps(connect().read_all()) == list(range(5000))
    assert left(emulator) == 0
    assert connect().read_all() == b""


def test_the_list_can_be_emptied(emulator, connect):
    put(emulator, 3)
    emulator.control("DELETE", "/feedback")
    assert left(emulator) == 0
    assert connect().read_all() == b""


def test_a_wrong_record_in_a_list_changes_nothing(emulator):
    records = [{"token": "ab", "timestamp": 1}, {"token": "ab"}]
    assert "error" in emulator.control("POST", "/feedback", records)
    assert left(emulator) == 0


def test_without_a_client_certificate_there_is_no_connection(emulator, connect):
    put(emulator, 1)
    with pytest.raises(OSError, match=r"(?i)ssl|reset|eof"):
        connect(certificate=False)
    assert left(emulator) == 1
    assert stats(emulator)["connections_opened"] == 0


def test_a_reader_that_dies_leaves_the_rest_on_the_list(emulator, connect):
    put(emulator, 5000)
    reader = connect(buffer=4096)
    read = b""
    while len(read) < 38 * 100:
        read += reader.socket.recv(38)
    wait_until(lambda: stats(emulator)["connections_open"] == 1)
    reader.close()
    wait_until(lambda: stats(emulator)["connections_open"] == 0)
    rest = timestamps(connect().read_all())
    # 8 KiB here, 8 KiB in the kernel, doubled by it, as much at the reader: some 1,000 records.
    assert 3500 < len(rest) < 4900
    assert rest == list(range(5000 - len(rest), 5000))


def test_a_slow_reader_gets_everything(emulator, connect):
    put(emulator, 2000)
    reader = connect(buffer=4096)
    read = b"".join(iter(lambda: reader.socket.recv(400), b""))
    assert timestamps(read) == list(range(2000))


def test_two_readers_share_the_list(emulator, connect):
    put(emulator, 3000)
    first, second = connect(buffer=4096), connect(buffer=4096)
    read = timestamps(first.read_all()) + timestamps(second.read_all())
    assert sorted(read) == list(range(3000))


# Faults -------------------------------------------------------------------------------------------


def test_a_delay_comes_before_the_first_byte(emulator, connect):
    put(emulator, 1)
    emulator.control("POST", "/faults", {"service": "feedback", "delay": 0.2})
    began = time.monotonic()
    reader = connect()
    assert left(emulator) == 1
    assert timestamps(reader.read_all()) == [0]
    assert time.monotonic() - began >= 0.2


def test_a_reset_comes_after_so_many_records(emulator, connect):
    put(emulator, 500)
    emulator.control("POST", "/faults", {"service": "feedback", "reset_after": 150, "times": 1})
    reader = connect()
    tcp = socket.socket(fileno=os.dup(reader.socket.fileno()))
    tcp.settimeout(5)
    with tcp, pytest.raises(ConnectionResetError):
        drain(tcp)
    assert timestamps(connect().read_all()) == list(range(150, 500))


def drain(tcp):
    while tcp.recv(65536):
        pass


def test_a_stall_says_nothing_and_takes_nothing(emulator, connect):
    put(emulator, 5)
    emulator.control("POST", "/faults", {"service": "feedback", "stall": True})
    reader = connect()
    reader.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        reader.read_all()
    assert left(emulator) == 5
