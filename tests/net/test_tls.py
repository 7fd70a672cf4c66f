"""A TLS connection to a host, by whichever of its addresses answers in time."""

import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from pushtasks.net import tls
from pushtasks.net.deadline import Deadline

#: Seconds for all addresses together.
BUDGET = 2.0


@pytest.fixture
def silent_port():
    """Return a port on which nobody accepts, and whose queue is full: it answers nothing."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            with suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def server(authority):
    """Return the port of a TLS server."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = authority.context()

    def serve():
        with suppress(OSError):
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as connected:
                connected.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


@pytest.fixture
def context(authority):
    return ssl.create_default_context(cafile=str(authority.ca_file))


def test_a_silent_address_leaves_time_for_the_next(monkeypatch, silent_port, server, context):
    """The resolver alone is replaced: a host with two addresses of ours is not to be had."""

    def two_addresses(host, port, *, type):  # noqa: A002
        assert host == "push.example.com"
        return [(socket.AF_INET, type, 0, "", ("127.0.0.1", one)) for one in (silent_port, server)]

    monkeypatch.setattr(tls.socket, "getaddrinfo", two_addresses)
    started = time.monotonic()

    with tls.connect("push.example.com", 1, context, Deadline(BUDGET)) as connected:
        assert connected.version() in {"TLSv1.2", "TLSv1.3"}

    assert BUDGET / 2 <= time.monotonic() - started < BUDGET


def test_addresses_that_are_all_silent_take_no_longer_than_the_deadline(silent_port, context):
    started = time.monotonic()

    with pytest.raises(OSError, match="timed out"):
        tls.connect("127.0.0.1", silent_port, context, Deadline(0.3))

    assert time.monotonic() - started < 1


@pytest.mark.parametrize("host", ["x" * 64, "push..example.com"])
def test_what_is_no_host_name_is_an_error_of_the_connection(host, context):
    with pytest.raises(OSError, match="is no host name"):
        tls.connect(host, 1, context, Deadline(BUDGET))


@pytest.mark.parametrize(
    ("address", "parts"),
    [("h.example:2195", ("h.example", 2195)), ("[::1]:2196", ("::1", 2196))],
)
def test_an_address_has_a_host_and_a_port(address, parts):
    assert tls.split_address(address) == parts
