"""What a server says about streams: how many, no more on this connection, not this one."""

import time
from collections import Counter

import pytest

from pushtasks.net.http import Response, Unanswered
from pushtasks.net.multiplexer import Multiplexer
from pushtasks.net.origin import Origin

ACCEPTED = Response(200)


def test_a_new_connection_carries_one_stream_until_the_first_answer(multiplexer, apns):
    apns.fault(delay=0.05)
    answers = multiplexer.exchange(apns.origin(), apns.pushes(50), 10)
    assert answers == [ACCEPTED] * 50
    assert apns.stats["refused"] == 0


def test_nor_is_a_stream_refused_on_connections_that_follow_a_goaway(multiplexer, apns):
    apns.fault(goaway_every=50, delay=0.02)
    assert multiplexer.exchange(apns.origin(), apns.pushes(500), 20) == [ACCEPTED] * 500
    stats = apns.stats
    assert stats["goaways"] >= 9
    assert stats["refused"] == 0
    assert apns.devices() == dict.fromkeys(range(500), 1)


def test_after_a_goaway_the_streams_are_filled_again(multiplexer, apns):
    origin = apns.origin(connections=2)
    multiplexer.exchange(origin, apns.pushes(200), 20)
    apns.fault(goaway_every=20, times=1)
    multiplexer.exchange(origin, apns.pushes(200), 20)
    apns.fault(delay=0.05)
    apns.emulator.control("DELETE", "/stats")
    multiplexer.exchange(origin, apns.pushes(500), 20)
    assert apns.stats["most_in_flight"] >= 100


def test_the_window_grows_with_the_distance(multiplexer, apns):
    apns.fault(delay=0.06)
    assert multiplexer.exchange(apns.origin(), apns.pushes(4000), 20) == [ACCEPTED] * 4000
    assert apns.stats["most_in_flight"] >= 500


def test_a_server_that_allows_few_streams_is_obeyed(multiplexer, apns):
    apns.fault(max_streams=5, delay=0.01)
    assert multiplexer.exchange(apns.origin(), apns.pushes(200), 20) == [ACCEPTED] * 200
    assert apns.stats["most_in_flight"] <= 5
    assert apns.devices() == dict.fromkeys(range(200), 1)


@pytest.mark.parametrize(("resend", "connections"), [(True, 1), (False, 1), (True, 3)])
def test_what_a_goaway_leaves_out_goes_over_the_next_connection_once(
    multiplexer, apns, resend, connections
):
    origin = apns.origin(resend=resend, connections=connections)
    multiplexer.exchange(origin, apns.pushes(100), 10)
    apns.fault(goaway_every=100, delay=0.03)
    pushes = apns.pushes(2000, first=100)
    assert multiplexer.exchange(origin, pushes, 30) == [ACCEPTED] * 2000
    assert apns.devices() == dict.fromkeys(range(2100), 1)
    assert apns.stats["goaways"] >= 15


@pytest.mark.acceptance
@pytest.mark.parametrize("resend", [True, False])
def test_nginx_logs_each_of_twenty_thousand_once_over_two_hundred_connections(
    multiplexer, apns, nginx, authority, resend
):
    origin = Origin(
        f"https://127.0.0.1:{nginx.port}",
        ca_file=str(authority.ca_file),
        streams=1000,
        resend=resend,
    )
    pushes = apns.pushes(20_000)
    assert multiplexer.exchange(origin, pushes, 60) == [ACCEPTED] * 20_000
    paths, connections = nginx.logged()
    assert paths == dict.fromkeys((push.path for push in pushes), 1)
    assert connections >= 200


@pytest.mark.parametrize("resend", [True, False])
def test_refused_streams_are_sent_again_and_received_once(multiplexer, apns, resend):
    origin = apns.origin(resend=resend)
    multiplexer.exchange(origin, apns.pushes(1), 10)
    apns.fault(refuse_every=3)
    assert multiplexer.exchange(origin, apns.pushes(600, first=1), 20) == [ACCEPTED] * 600
    assert apns.devices() == dict.fromkeys(range(601), 1)


def test_a_stream_refused_over_and_over_ends_in_time_as_not_sent(multiplexer, apns):
    apns.fault(refuse_every=1)
    began = time.monotonic()
    (answer,) = multiplexer.exchange(apns.origin(), [apns.push()], 1)
    assert time.monotonic() - began < 2.5
    assert isinstance(answer, Unanswered)
    assert not answer.maybe_sent
    assert apns.count == 0


def test_after_a_reset_whatever_is_unanswered_may_have_been_sent(multiplexer, apns):
    multiplexer.exchange(apns.origin(), apns.pushes(1), 10)
    apns.fault(reset_after=200, times=1)
    answers = multiplexer.exchange(apns.origin(), apns.pushes(600, first=1), 10)
    devices = apns.devices()
    for number, answer in enumerate(answers, start=1):
        assert devices[number] or (isinstance(answer, Unanswered) and answer.maybe_sent)
    assert Counter(map(type, answers))[Response] >= 199


def test_without_resend_nothing_is_received_twice_whatever_breaks(apns):
    """Resets strike again and again while hundreds are in flight."""
    multiplexer = Multiplexer()
    origin = apns.origin(resend=False)
    multiplexer.exchange(origin, apns.pushes(1), 10)
    apns.fault(reset_after=150, delay=0.005)
    answers = multiplexer.exchange(origin, apns.pushes(2000, first=1), 20)
    multiplexer.close()
    received = Counter(int(entry["token"], 16) for entry in apns.emulator.received())
    assert max(received.values()) == 1
    for number, answer in enumerate(answers, start=1):
        if isinstance(answer, Response):
            assert received[number] == 1
        elif received[number]:
            assert answer.maybe_sent
