"""Servers that no request can reach: everything queued is told why, soon, and as not sent."""

import socket
import ssl
import time

import pytest

from pushtasks.net.http import Response, Unanswered
from pushtasks.net.origin import Origin

ACCEPTED = Response(200)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture
def fails(multiplexer, apns):
    """Send a hundred requests to where none can arrive and return the reason, the same for all."""

    def send(origin, *, within):
        began = time.monotonic()
        answers = multiplexer.exchange(origin, apns.pushes(100), 10)
        assert time.monotonic() - began < within
        assert {type(answer) for answer in answers} == {Unanswered}
        assert not any(answer.maybe_sent for answer in answers)
        (reason,) = {answer.reason for answer in answers}
        assert "\n" not in reason
        return reason

    return send


def test_connection_refused(fails, authority):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    origin = Origin(f"https://127.0.0.1:{port}", ca_file=str(authority.ca_file))
    assert fails(origin, within=2).startswith("no connection (Failed to connect to 127.0.0.1")


def test_unknown_host(fails, authority):
    origin = Origin("https://nowhere.invalid", ca_file=str(authority.ca_file))
    assert fails(origin, within=6).startswith("no such host (Could not resolve")


def test_untrusted_certificate(fails, start_server, authority):
    server = start_server(lambda _: None, authority.context())
    origin = Origin(f"https://127.0.0.1:{server.port}")
    reason = fails(origin, within=2)
    assert reason.startswith("the server's certificate is not trusted (")


def test_certificate_of_another_host(fails, start_server, authority):
    server = start_server(lambda _: None, authority.context("elsewhere.example.com"))
    reason = fails(server.origin(authority), within=2)
    assert reason.startswith("the server's certificate is not trusted (")
    assert "127.0.0.1" in reason


def test_tls_older_than_1_2(fails, start_server, authority):
    context = authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    server = start_server(lambda _: None, context)
    assert fails(server.origin(authority), within=2).startswith("no TLS (")


def test_a_server_that_is_not_one_of_tls(fails, start_server, authority):
    server = start_server(lambda connection: connection.sendall(b"220 mail.example.com ESMTP\r\n"))
    assert fails(server.origin(authority), within=2).startswith("no TLS (")


def test_a_server_that_hangs_up_at_once(fails, start_server, authority):
    server = start_server(lambda _: None)
    assert fails(server.origin(authority), within=2).startswith("no TLS (")


def test_a_server_that_never_finishes_the_handshake(fails, start_server, authority):
    server = start_server(lambda connection: connection.recv(2**20) and connection.recv(2**20))
    assert fails(server.origin(authority), within=6.5).startswith("no answer in time (")


def test_one_of_several_connections_that_fails_does_not_take_the_others_along(
    multiplexer, apns, start_http11, authority
):
    server = start_http11(lambda *_: OK, broken=1)
    origin = server.origin(authority, connections=3)
    assert multiplexer.exchange(origin, apns.pushes(20), 5) == [ACCEPTED] * 20


def test_the_next_request_tries_again(multiplexer, apns, fails, start_http11, authority):
    server = start_http11(lambda *_: OK, broken=1)
    fails(server.origin(authority), within=2)
    assert multiplexer.exchange(server.origin(authority), [apns.push()], 5) == [ACCEPTED]


def test_what_goes_to_other_servers_is_not_held_up(multiplexer, apns, start_server, authority):
    server = start_server(lambda connection: connection.recv(2**20) and connection.recv(2**20))
    stuck = multiplexer.submit(server.origin(authority), apns.pushes(10), 10)
    began = time.monotonic()
    assert multiplexer.exchange(apns.origin(), apns.pushes(10), 10) == [ACCEPTED] * 10
    assert time.monotonic() - began < 1
    assert not stuck.done()
