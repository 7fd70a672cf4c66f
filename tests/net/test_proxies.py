"""HTTP CONNECT and SOCKS5 proxies, with and without a password."""

import base64
import select
import socket

import pytest

from pushtasks.net.http import Response, Unanswered
from pushtasks.net.http1 import Http1Session
from pushtasks.net.origin import Origin

ACCEPTED = Response(200)
PASSWORD = "open:se/same"
QUOTED = "open%3Ase%2Fsame"


def splice(one, other):
    """Pass on bytes both ways until either side ends."""
    while True:
        for source in select.select([one, other], [], [], 10)[0]:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)


class ConnectProxy:
    """An HTTP proxy that lets in who knows the password."""

    def __init__(self, http_reader):
        self.asked = []
        self._read = http_reader

    def __call__(self, connection):
        line, headers, _ = self._read(connection.makefile("rb"))
        self.asked.append(line)
        credentials = base64.b64encode(f"me:{PASSWORD}".encode())
        if headers.get("proxy-authorization") != b"Basic " + credentials:
            connection.sendall(b"HTTP/1.1 407 Who are you?\r\ncontent-length: 0\r\n\r\n")
            return
        host, port = line.split()[1].split(":")
        with socket.create_connection((host, int(port))) as server:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            splice(connection, server)


class SocksProxy:
    """A SOCKS5 proxy with user and password (RFC 1928, RFC 1929)."""

    def __init__(self):
        self.asked = []

    def __call__(self, connection):
        stream = connection.makefile("rb")
        assert stream.read(1) == b"\5"
        stream.read(stream.read(1)[0])
        connection.sendall(b"\5\2")
        stream.read(1)
        user, password = (stream.read(stream.read(1)[0]) for _ in range(2))
        if (user, password) != (b"me", PASSWORD.encode()):
            connection.sendall(b"\1\1")
            return
        connection.sendall(b"\1\0")
        _, _, _, kind = stream.read(4)
        assert kind in {1, 3}
        address = stream.read(4) if kind == 1 else stream.read(stream.read(1)[0])
        port = int.from_bytes(stream.read(2), "big")
        self.asked.append((address, port))
        with socket.create_connection(("127.0.0.1", port)) as server:
            connection.sendall(b"\5\0\0\1" + bytes(6))
            splice(connection, server)


def test_connect_with_a_password(multiplexer, apns, start_server, http_reader):
    proxy = ConnectProxy(http_reader)
    port = start_server(proxy).port
    origin = apns.origin(proxy=f"http://me:{QUOTED}@127.0.0.1:{port}")
    assert multiplexer.exchange(origin, apns.pushes(200), 10) == [ACCEPTED] * 200
    assert proxy.asked == [f"CONNECT {apns.url.removeprefix('https://')} HTTP/1.1"]


@pytest.mark.parametrize("password", ["wrong-secret", "other%2Fsecret"])
def test_connect_with_the_wrong_password(multiplexer, apns, start_server, http_reader, password):
    port = start_server(ConnectProxy(http_reader)).port
    origin = apns.origin(proxy=f"http://me:{password}@127.0.0.1:{port}")
    (answer,) = multiplexer.exchange(origin, [apns.push()], 10)
    assert isinstance(answer, Unanswered)
    assert not answer.maybe_sent
    assert "407" in answer.reason
    assert answer.reason.startswith("through the proxy: no connection (")
    assert "secret" not in answer.reason


@pytest.mark.parametrize(
    "url",
    [
        "http://me:open secret@127.0.0.1:9",
        "socks5h://me:open@secret@127.0.0.1:9",
        f"http://me:secret{'-secret' * 60} @127.0.0.1:9",
    ],
)
def test_a_url_that_libcurl_cannot_read_is_not_repeated(multiplexer, apns, url):
    (answer,) = multiplexer.exchange(apns.origin(proxy=url), [apns.push()], 10)
    assert answer == Unanswered(
        maybe_sent=False,
        reason="through the proxy: no such proxy (its URL cannot be read; write special characters"
        " of user and password as %40)",
    )


def test_socks5_with_a_password(multiplexer, apns, start_server):
    proxy = SocksProxy()
    port = start_server(proxy).port
    origin = apns.origin(proxy=f"socks5://me:{QUOTED}@127.0.0.1:{port}")
    assert multiplexer.exchange(origin, apns.pushes(200), 10) == [ACCEPTED] * 200
    assert proxy.asked == [(bytes([127, 0, 0, 1]), int(apns.url.rpartition(":")[2]))]


def test_socks5h_leaves_the_name_to_the_proxy(
    multiplexer, apns, start_server, start_http11, authority
):
    server = start_http11(lambda *_: b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    proxy = SocksProxy()
    origin = Origin(
        f"https://push.example.com:{server.port}",
        ca_file=str(authority.ca_file),
        proxy=f"socks5h://me:{QUOTED}@127.0.0.1:{start_server(proxy).port}",
    )
    assert multiplexer.exchange(origin, [apns.push()], 10) == [ACCEPTED]
    assert set(proxy.asked) == {(b"push.example.com", server.port)}


def test_socks5_with_the_wrong_password(multiplexer, apns, start_server):
    port = start_server(SocksProxy()).port
    origin = apns.origin(proxy=f"socks5h://me:wrong-secret@127.0.0.1:{port}")
    (answer,) = multiplexer.exchange(origin, [apns.push()], 10)
    assert isinstance(answer, Unanswered)
    assert not answer.maybe_sent
    assert "secret" not in answer.reason
    assert answer.reason.startswith("through the proxy: no connection (")


@pytest.fixture
def http1(start_http11, authority):
    """(proxy URL) → the session of a server behind it, closed with the test, and the server."""
    sessions = []
    server = start_http11(lambda *_: b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def make(proxy, host="127.0.0.1"):
        url, ca_file = f"https://{host}:{server.port}/send", str(authority.ca_file)
        sessions.append(Http1Session(url, {}, ca_file=ca_file, proxy=proxy, timeout=5))
        return sessions[-1], server

    yield make
    for session in sessions:
        session.close()


def test_http1_by_connect(http1, start_server, http_reader):
    proxy = ConnectProxy(http_reader)
    session, server = http1(f"http://me:{QUOTED}@127.0.0.1:{start_server(proxy).port}")
    assert [session.post(b"x") for _ in range(3)] == [ACCEPTED] * 3
    assert [line.split()[:2] for line in proxy.asked] == [["CONNECT", f"127.0.0.1:{server.port}"]]


def test_http1_by_socks5h(http1, start_server):
    proxy = SocksProxy()
    url = f"socks5h://me:{QUOTED}@127.0.0.1:{start_server(proxy).port}"
    session, server = http1(url, "push.example.com")
    assert [session.post(b"x") for _ in range(3)] == [ACCEPTED] * 3
    assert proxy.asked == [(b"push.example.com", server.port)]


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_http1_with_the_wrong_password(http1, start_server, http_reader, scheme):
    proxy = ConnectProxy(http_reader) if scheme == "http" else SocksProxy()
    session, _ = http1(f"{scheme}://me:wrong-secret@127.0.0.1:{start_server(proxy).port}")
    answer = session.post(b"x")
    assert isinstance(answer, Unanswered)
    assert not answer.maybe_sent
    assert "secret" not in answer.reason
