"""Servers that say nothing, or say it late. Nobody waits for ever."""

import threading
import time

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded

from pushtasks.net.http import Response, Unanswered

ACCEPTED = Response(200)


class FirstFallsSilent:
    """Serves HTTP/2, and from some time on no more on the connection that was the first."""

    def __init__(self):
        self.is_silent = threading.Event()
        self._first = None

    def __call__(self, connection):
        self._first = self._first or connection
        http2 = H2Connection(H2Configuration(client_side=False))
        http2.initiate_connection()
        connection.sendall(http2.data_to_send())
        while data := connection.recv(2**16):
            events = http2.receive_data(data)
            if connection is self._first and self.is_silent.is_set():
                continue
            for event in events:
                if isinstance(event, StreamEnded):
                    http2.send_headers(event.stream_id, [(":status", "200")], end_stream=True)
            connection.sendall(http2.data_to_send())


@pytest.fixture
def http2_server(start_server, authority):
    """A server, and what it does."""
    serve = FirstFallsSilent()
    return start_server(serve, authority.context(alpn=("h2",))), serve


def test_a_stall_leaves_nobody_waiting(multiplexer, apns):
    multiplexer.exchange(apns.origin(), apns.pushes(300), 10)
    apns.fault(stall=True)
    began = time.monotonic()
    answers = multiplexer.exchange(apns.origin(), apns.pushes(2000), 1.0)
    assert time.monotonic() - began < 3.5
    assert {type(answer) for answer in answers} == {Unanswered}
    assert answers[0].maybe_sent
    assert answers[0].reason.startswith("no answer in time")
    assert not answers[-1].maybe_sent


def test_after_a_stall_the_next_push_goes_through_at_once(multiplexer, apns):
    origin = apns.origin()
    multiplexer.exchange(origin, apns.pushes(300), 10)
    apns.fault(stall=True)
    multiplexer.exchange(origin, apns.pushes(50), 0.5)
    apns.heal()
    began = time.monotonic()
    assert multiplexer.exchange(origin, [apns.push()], 10) == [ACCEPTED]
    assert time.monotonic() - began < 1


def test_a_silent_connection_is_replaced_while_requests_still_hang_on_it(multiplexer, apns):
    origin = apns.origin()
    multiplexer.exchange(origin, apns.pushes(300), 10)
    apns.fault(stall=True, times=1)
    hanging = multiplexer.submit(origin, apns.pushes(200), 20)
    began = time.monotonic()
    assert multiplexer.exchange(origin, [apns.push(7)], 20) == [ACCEPTED]
    assert time.monotonic() - began < 3
    assert not hanging.done()
    assert apns.stats["connections_opened"] == 2


def test_one_of_several_connections_that_falls_silent_is_replaced(
    multiplexer, apns, http2_server, authority
):
    """The others answer all the while, so it is not the server that is silent."""
    server, behaviour = http2_server
    origin = server.origin(authority, connections=2, streams=20)
    assert multiplexer.exchange(origin, apns.pushes(400), 5) == [ACCEPTED] * 400
    assert server.accepted == 2
    behaviour.is_silent.set()
    answers = multiplexer.exchange(origin, apns.pushes(400), 1.5)
    assert 0 < len([answer for answer in answers if answer != ACCEPTED]) <= 20
    assert multiplexer.exchange(origin, apns.pushes(400), 5) == [ACCEPTED] * 400
    assert server.accepted == 4


def test_a_slow_provider_is_not_renewed_over_and_over(multiplexer, apns):
    apns.fault(delay=2.0)
    answers = multiplexer.exchange(apns.origin(), apns.pushes(100), 10)
    assert answers == [ACCEPTED] * 100
    assert apns.stats["connections_opened"] <= 2


def test_a_long_queue_drains_while_answers_keep_coming(multiplexer, apns):
    """The last of them waits for far longer than the timeout."""
    apns.fault(delay=0.2)
    began = time.monotonic()
    origin = apns.origin(streams=10)
    assert multiplexer.exchange(origin, apns.pushes(80), 0.7) == [ACCEPTED] * 80
    assert time.monotonic() - began > 1.5


def test_requests_that_waited_for_a_stream_in_vain_are_sent_again(multiplexer, apns):
    """Only those may end unanswered that got their stream at the last moment."""
    apns.fault(delay=0.05, max_streams=2)
    answers = multiplexer.exchange(apns.origin(), apns.pushes(60), 0.5)
    unanswered = [answer for answer in answers if isinstance(answer, Unanswered)]
    assert len(unanswered) <= 10
    assert all(answer.maybe_sent for answer in unanswered)


def test_an_idle_connection_that_the_server_has_closed_is_replaced(
    multiplexer, apns, start_http11, authority
):
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    server = start_http11(lambda *_: answer, hangs_up=True)
    for _ in range(3):
        assert multiplexer.exchange(server.origin(authority), [apns.push()], 5) == [ACCEPTED]
        assert server.has_ended.wait(5)
        server.has_ended.clear()


def test_an_idle_http2_connection_that_ended_with_a_goaway_is_replaced(
    multiplexer, apns, wait_until
):
    apns.fault(goaway_every=1)
    for number in range(3):
        assert multiplexer.exchange(apns.origin(), [apns.push(number)], 5) == [ACCEPTED]
        wait_until(lambda: apns.stats["connections_open"] == 0)
    assert apns.devices() == dict.fromkeys(range(3), 1)


def test_renew_sends_what_comes_over_a_new_connection_and_drains_the_old(
    multiplexer, apns, wait_until
):
    origin = apns.origin()
    multiplexer.exchange(origin, [apns.push()], 10)
    apns.fault(delay=0.3)
    in_flight = multiplexer.submit(origin, apns.pushes(10), 10)
    wait_until(lambda: apns.stats["in_flight"] == 10)
    multiplexer.renew(origin)
    assert multiplexer.exchange(origin, [apns.push(11)], 10) == [ACCEPTED]
    assert in_flight.result(10) == [ACCEPTED] * 10
    assert apns.stats["connections_opened"] == 2
    wait_until(lambda: apns.stats["connections_open"] == 1)


def test_renew_leaves_connections_alone_that_are_new_themselves(multiplexer, apns):
    origin = apns.origin()
    multiplexer.exchange(origin, [apns.push()], 10)
    apns.fault(delay=0.2)
    for _ in range(5):
        multiplexer.renew(origin)
    first = multiplexer.submit(origin, [apns.push(1)], 10)
    for _ in range(5):
        multiplexer.renew(origin)
    assert first.result(10) == [ACCEPTED]
    assert apns.stats["connections_opened"] == 2
