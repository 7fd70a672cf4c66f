"""Answers of any size and shape are an outcome, never a crash."""

from collections import Counter
from email.utils import formatdate
from time import time

import pytest

from pushtasks.net.http import Response, Unanswered

ACCEPTED = Response(200)
MEGABYTE = 2**20


def http11(status, body=b"", *headers):
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
def ask(multiplexer, apns, start_http11, authority):
    """Send one push to a server that answers with these bytes."""

    def send(answer, **options):
        server = start_http11(lambda *_: answer)
        return multiplexer.exchange(server.origin(authority), [apns.push(**options)], 5)[0]

    return send


def test_a_server_without_http2_answers_all(multiplexer, apns, start_http11, authority):
    seen = []

    def answer(line, headers, body):
        seen.append((line, headers["apns-topic"], body))
        return http11("200 OK")

    server = start_http11(answer)
    answers = multiplexer.exchange(server.origin(authority), apns.pushes(150), 10)
    assert answers == [ACCEPTED] * 150
    assert sorted(seen) == [
        (f"POST /3/device/{n:064x} HTTP/1.1", b"com.example.app", b'{"aps":{"alert":"Hi"}}')
        for n in range(150)
    ]
    assert server.accepted <= 2  # the one opened up front does not survive without a request


@pytest.mark.parametrize("resend", [True, False])
def test_bodies_of_any_size_are_sent(multiplexer, apns, start_http11, authority, resend):
    bodies = []

    def answer(_line, _headers, body):
        bodies.append(body)
        return http11("200 OK")

    server = start_http11(answer)
    sizes = [0, 1, 2, 5000, 100_000]
    requests = [apns.push()._replace(body=b"x" * size) for size in sizes]
    origin = server.origin(authority, resend=resend)
    assert multiplexer.exchange(origin, requests, 10) == [ACCEPTED] * 5
    assert sorted(len(body) for body in bodies) == sizes


def test_a_body_of_a_hundred_megabytes_is_cut_and_not_read_to_its_end(
    multiplexer, apns, start_server, authority, http_reader
):
    sent = []

    def serve(connection):
        http_reader(connection.makefile("rb"))
        connection.sendall(f"HTTP/1.1 500 Oh\r\ncontent-length: {100 * MEGABYTE}\r\n\r\n".encode())
        for _ in range(100):
            connection.sendall(b"x" * MEGABYTE)
            sent.append(MEGABYTE)

    server = start_server(serve, authority.context())
    (answer,) = multiplexer.exchange(server.origin(authority), [apns.push()], 10)
    assert answer == Response(500, b"x" * 32 * 1024)
    assert server.has_ended.wait(5)
    assert sum(sent) < 20 * MEGABYTE


def test_a_long_body_over_http2_is_cut_and_harms_no_other(multiplexer, apns):
    multiplexer.exchange(apns.origin(), [apns.push()], 10)
    apns.fault(status=500, body_size=8 * MEGABYTE, times=5)
    answers = multiplexer.exchange(apns.origin(), apns.pushes(40), 10)
    long = [answer for answer in answers if answer.status == 500]
    assert [len(answer.body) for answer in long] == [32 * 1024] * 5
    assert answers.count(ACCEPTED) == 35
    assert apns.count == 41


@pytest.mark.parametrize(("limit", "kept"), [(10, 10), (1000, 1000), (1001, 1000)])
def test_a_request_says_how_much_of_the_body_it_wants(ask, limit, kept):
    assert ask(http11("400 Bad", b"x" * 1000), body_limit=limit) == Response(400, b"x" * kept)


def test_a_long_list_is_read_whole_and_as_fast_as_it_comes(ask):
    body = b"x" * MEGABYTE
    options = {"method": "GET", "body_limit": MEGABYTE}
    assert ask(http11("200 OK", body), **options) == Response(200, body)


def test_a_binary_body(ask):
    body = bytes(range(256)) * 3
    assert ask(http11("400 Bad", body)) == Response(400, body)


def test_no_body(ask):
    assert ask(b"HTTP/1.1 204 No Content\r\n\r\n") == Response(204)


def test_a_200_with_a_body(ask):
    assert ask(http11("200 OK", b'{"name": "x"}')) == Response(200, b'{"name": "x"}')


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("0", None), ("soon", None), ("-5", None), ("", None)],
)
def test_retry_after_in_seconds_or_rubbish(ask, text, seconds):
    answer = ask(http11("503 Busy", b"", f"retry-after: {text}"))
    assert answer == Response(503, retry_after=seconds)


def test_retry_after_as_a_date(ask):
    answer = ask(http11("503 Busy", b"", f"retry-after: {formatdate(time() + 120, usegmt=True)}"))
    assert answer.retry_after == pytest.approx(120, abs=3)


def test_retry_after_in_the_past(ask):
    answer = ask(http11("503 Busy", b"", f"retry-after: {formatdate(time() - 99, usegmt=True)}"))
    assert answer == Response(503)


def test_one_answer_leaves_nothing_for_the_next(multiplexer, apns, start_http11, authority):
    scripted = iter(
        [http11("503 Busy", b"wait", "retry-after: 9"), http11("500 Oh"), http11("200 OK")]
    )
    server = start_http11(lambda *_: next(scripted))
    answers = [multiplexer.exchange(server.origin(authority), [apns.push()], 5)[0] for _ in "123"]
    assert answers == [Response(503, b"wait", retry_after=9), Response(500), ACCEPTED]


def test_interim_responses_are_passed_over(ask):
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    assert ask(interim + http11("200 OK")) == ACCEPTED


def test_a_redirect_is_not_followed(multiplexer, apns, start_http11, authority):
    asked = []

    def answer(line, *_):
        asked.append(line)
        return http11("307 Elsewhere", b"", "location: /3/device/aa")

    server = start_http11(answer)
    (response,) = multiplexer.exchange(server.origin(authority), [apns.push()], 5)
    assert response == Response(307)
    assert len(asked) == 1


def test_wanted_headers_come_along_and_no_others(ask, multiplexer, apns):
    answer = ask(
        http11("200 OK", b"", "Apns-Id:  some id ", "apns-unique-id: ümlaut", "x-other: 1"),
        wanted_headers=frozenset({"apns-id", "apns-unique-id", "missing"}),
    )
    assert answer.headers["apns-id"] == "some id"
    assert set(answer.headers) == {"apns-id", "apns-unique-id"}
    unwanted = multiplexer.exchange(apns.origin(), [apns.push()], 5)
    assert unwanted == [ACCEPTED]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_other_methods_have_no_body_and_do_not_rub_off(
    multiplexer, apns, start_http11, authority, method
):
    seen = []

    def answer(line, headers, body):
        seen.append((line.split()[0], body))
        return http11("200 OK", b"" if line.startswith("POST") else b"channels")

    server = start_http11(answer)
    other = apns.push(method=method)._replace(body=b"")
    for resend in (True, False):
        origin = server.origin(authority, resend=resend)
        answers = multiplexer.exchange(origin, [apns.push(), other, apns.push()], 5)
        assert answers == [ACCEPTED, Response(200, b"channels"), ACCEPTED]
    assert Counter(seen) == {("POST", apns.push().body): 4, (method, b""): 2}


def test_a_header_line_may_be_any_utf8(multiplexer, apns, start_http11, authority):
    seen = []

    def answer(_line, headers, _body):
        seen.append(headers)
        return http11("200 OK")

    server = start_http11(answer)
    headers = ("apns-collapse-id: Grüße 🦊", "apns-topic: com.example.app")
    request = apns.push()._replace(headers=headers)
    assert multiplexer.exchange(server.origin(authority), [request], 5) == [ACCEPTED]
    assert seen[0]["apns-collapse-id"] == "Grüße 🦊".encode()
    assert seen[0]["apns-topic"] == b"com.example.app"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ntoo short",
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"",
    ],
)
def test_a_server_that_breaks_off_may_have_received_the_push(
    multiplexer, apns, start_http11, authority, answer
):
    asked = []
    server = start_http11(lambda *request: (asked.append(request), answer)[1], hangs_up=True)
    (unanswered,) = multiplexer.exchange(server.origin(authority, resend=False), [apns.push()], 5)
    assert isinstance(unanswered, Unanswered)
    assert unanswered.maybe_sent
    assert len(asked) == 1


@pytest.mark.parametrize(
    "words",
    [
        {"body": b'{"aps":{"alert":"Your card was refused"}}'},
        {"headers": ("apns-collapse-id: refused",)},
    ],
)
def test_no_word_of_a_push_has_it_sent_again_after_a_lost_connection(
    multiplexer, apns, start_server, authority, http_reader, words
):
    asked = []

    def answer_once(connection):
        stream = connection.makefile("rb")
        asked.append(http_reader(stream))
        connection.sendall(http11("200 OK"))
        asked.append(http_reader(stream))

    server = start_server(answer_once, authority.context())
    origin = server.origin(authority, resend=False)
    push = apns.push()._replace(**words)
    assert multiplexer.exchange(origin, [push], 5) == [ACCEPTED]
    (unanswered,) = multiplexer.exchange(origin, [push], 5)
    assert isinstance(unanswered, Unanswered)
    assert unanswered.maybe_sent
    assert len(asked) == 2
