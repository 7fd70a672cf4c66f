"""Posts over HTTP/1.1 meet servers of every kind; what counts is that they end, and as what."""

import gzip
import socket
import threading
import time

import pytest

from pushtasks.net import http1
from pushtasks.net.http import Response, Unanswered
from pushtasks.net.http1 import Http1Session

SECRET = "key=very-secret"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def session(authority):
    """(server or URL, timeout=5.0, scheme="https", options) → a session."""
    sessions = []

    def make(server, *, timeout=5.0, scheme="https", **options):
        url = server if isinstance(server, str) else f"{scheme}://127.0.0.1:{server.port}/send"
        options = {"ca_file": str(authority.ca_file), "proxy": None, **options}
        made = Http1Session(url, {"Authorization": SECRET}, timeout=timeout, **options)
        sessions.append(made)
        return made

    yield make
    for one in sessions:
        one.close()


@pytest.fixture
def serve(start_server, http_reader):
    """(what to do with a connection whose request has been read) → a plain server."""

    def start(misbehave):
        def serve_one(connection):
            http_reader(connection.makefile("rb"))
            misbehave(connection)

        return start_server(serve_one)

    return start


def test_one_connection_serves_one_post_after_the_other(session, start_http11):
    asked = []
    server = start_http11(lambda *request: asked.append(request) or OK)
    client = session(server)

    assert [client.post(b"%d" % number) for number in range(3)] == [Response(200, b"ok")] * 3

    assert server.accepted == 1
    assert [body for _, _, body in asked] == [b"0", b"1", b"2"]
    line, headers, _ = asked[0]
    assert line == "POST /send HTTP/1.1"
    assert headers["authorization"] == SECRET.encode()


def test_threads_have_connections_of_their_own(session, start_http11):
    together = threading.Barrier(3)

    def answer(*_):
        together.wait(5)
        return OK

    server = start_http11(answer)
    client, answers = session(server), []
    threads = [threading.Thread(target=lambda: answers.append(client.post(b"x"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [Response(200, b"ok")] * 3
    assert server.accepted == 3


def test_an_answer_in_pieces_packed_or_chunked_is_read_and_the_connection_kept(
    session, start_http11
):
    packed = gzip.compress(b"ok")
    answers = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        + packed,
        OK,
    ]
    server = start_http11(lambda *_: answers.pop(0))
    client = session(server)

    assert [client.post(b"x") for _ in range(3)] == [Response(200, b"ok")] * 3
    assert server.accepted == 1


def test_a_server_that_closes_after_each_answer_is_asked_over_new_connections(session, serve):
    server = serve(lambda it: it.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"))
    client = session(server, scheme="http")

    assert [client.post(b"x") for _ in range(3)] == [Response(200, b"ok")] * 3
    assert server.accepted == 3


@pytest.mark.parametrize("status", [302, 307, 400, 401, 503])
def test_any_status_is_an_answer_and_no_redirect_is_followed(session, start_http11, status):
    head = f"HTTP/1.1 {status} No\r\nLocation: /elsewhere\r\nRetry-After: 7\r\n"
    asked = []
    server = start_http11(
        lambda *it: asked.append(it) or head.encode() + b"Content-Length: 1\r\n\r\n!"
    )

    assert session(server).post(b"x") == Response(status, b"!", retry_after=7.0)
    assert len(asked) == 1


def test_cookies_are_not_kept(session, start_http11):
    asked = []
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    server = start_http11(lambda *request: asked.append(request) or cookie)
    client = session(server)

    client.post(b"x")
    client.post(b"x")

    assert all("cookie" not in headers for _, headers, _ in asked)


def drip(head):
    """Return what sends a byte now and then until nobody listens."""

    def send(connection):
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return send


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    ],
    ids=["status", "header", "body", "body to the end", "chunk"],
)
def test_a_server_that_drips_bytes_holds_nobody_for_longer_than_the_timeout(session, serve, head):
    started = time.monotonic()

    answer = session(serve(drip(head)), scheme="http", timeout=0.5).post(b"x")

    assert time.monotonic() - started < 3
    assert answer == Unanswered(maybe_sent=True, reason="no answer in time (TimeoutError)")


def listen(connection):
    """Read on and never answer."""
    while connection.recv(65536):
        pass


def test_a_server_that_says_nothing_is_given_up(session, start_server):
    server = start_server(listen)

    answer = session(server, scheme="http", timeout=0.2).post(b"x")

    assert answer == Unanswered(maybe_sent=True, reason="no answer in time (TimeoutError)")


def test_a_body_without_end_is_cut(session, serve, monkeypatch):
    monkeypatch.setattr(http1, "BODY_LIMIT", 10_000)

    def flood(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(bytes(4096))

    answer = session(serve(flood), scheme="http").post(b"x")

    assert answer == Response(200, bytes(10_000))


def test_a_refusal_counts_even_if_its_body_never_comes(session, serve):
    def stall(connection):
        connection.sendall(b"HTTP/1.1 503 No\r\nRetry-After: 3\r\nContent-Length: 9\r\n\r\n")
        connection.recv(1)

    answer = session(serve(stall), scheme="http", timeout=0.3).post(b"x")

    assert answer == Response(503, retry_after=3.0)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n-5\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_or_is_none_may_be_one_to_a_push_that_was_sent(
    session, serve, answer
):
    got = session(serve(lambda it: it.sendall(answer)), scheme="http").post(b"x")

    assert isinstance(got, Unanswered), got
    assert got.maybe_sent
    assert got.reason.startswith("the connection was lost (")


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_what_fails_before_there_is_a_connection_was_not_sent(session, start_http11):
    trusted = start_http11(lambda *_: OK)
    refusals = {
        f"http://127.0.0.1:{unused_port()}/": "no connection (Connection refused)",
        "http://nobody.invalid/": "no such host (",
        f"https://localhost:{trusted.port}/": "the server's certificate is not trusted (",
    }

    for url, reason in refusals.items():
        answer = session(url).post(b"x")
        assert isinstance(answer, Unanswered)
        assert not answer.maybe_sent
        assert answer.reason.startswith(reason)


def test_a_certificate_of_an_authority_that_nobody_named_is_not_trusted(session, start_http11):
    answer = session(start_http11(lambda *_: OK), ca_file=None).post(b"x")

    assert not answer.maybe_sent
    assert answer.reason.startswith("the server's certificate is not trusted (")


def test_a_server_that_speaks_no_tls_was_sent_nothing(session, start_server):
    server = start_server(lambda it: it.recv(1) and it.sendall(b"HTTP/1.1 400 No\r\n\r\n"))

    answer = session(server).post(b"x")

    assert isinstance(answer, Unanswered)
    assert not answer.maybe_sent


def test_a_handshake_that_never_ends_was_sent_nothing(session, start_server):
    server = start_server(listen)

    answer = session(server, timeout=0.2).post(b"x")

    assert answer == Unanswered(maybe_sent=False, reason="no answer in time (TimeoutError)")


def test_a_body_that_nobody_reads_is_given_up(session, start_server):
    given_up = threading.Event()
    server = start_server(lambda connection: connection.recv(1) and given_up.wait(10))

    answer = session(server, scheme="http", timeout=0.3).post(bytes(50_000_000))
    given_up.set()

    assert isinstance(answer, Unanswered)
    assert answer.maybe_sent


def test_the_environment_changes_nothing(session, start_http11, monkeypatch, tmp_path):
    dead = f"http://127.0.0.1:{unused_port()}"
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, dead)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password wrong\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    asked = []

    answer = session(start_http11(lambda *it: asked.append(it) or OK)).post(b"x")

    assert answer == Response(200, b"ok")
    assert asked[0][1]["authorization"] == SECRET.encode()


def test_after_closing_a_post_opens_a_connection_of_its_own(session, start_http11):
    server = start_http11(lambda *_: OK)
    client = session(server)
    client.post(b"x")
    client.close()

    assert client.post(b"x") == Response(200, b"ok")
    assert server.accepted == 2
