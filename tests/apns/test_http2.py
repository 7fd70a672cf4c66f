import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushtasks.apns import http2
from pushtasks.apns.notification import EPOCH, notification
from pushtasks.net.http import Request, Response
from pushtasks.results import Verdict
from pushtasks.wire.apns_http2 import REASONS

TOKEN = "ab" * 32
ID = "123e4567-e89b-42d3-a456-426614174000"


def test_everything_that_is_given_becomes_a_header_line():
    push = notification(
        "Hi",
        topic="com.example.app",
        push_type="voip",
        priority=10,
        expiration=datetime(2030, 1, 31, 12, tzinfo=UTC),
        collapse_id="game-7",
    )
    assert http2.headers(push, "bearer a.b.c") == (
        "content-type: application/json",
        "authorization: bearer a.b.c",
        "apns-topic: com.example.app.voip",
        "apns-push-type: voip",
        "apns-priority: 10",
        "apns-expiration: 1896091200",
        "apns-collapse-id: game-7",
    )


def test_what_is_not_given_has_no_header_line():
    assert http2.headers(notification("Hi", topic=None), None) == (
        "content-type: application/json",
        "apns-push-type: alert",
    )


@pytest.mark.parametrize(
    ("expiration", "line"),
    [
        (EPOCH, "apns-expiration: 0"),
        (EPOCH + timedelta(seconds=1_900_000_000.2), "apns-expiration: 1900000001"),
    ],
)
def test_expiration_is_in_whole_seconds_and_never_early(expiration, line):
    push = notification("Hi", topic=None, expiration=expiration)
    assert line in http2.headers(push, None)


def test_requests_that_share_a_notification_are_those_that_each_would_be():
    shared, ids = ("a: 1", "b: 2"), "123e4567-e89b-42d3-a456-"
    places = [0, 7, 2**48 - 1]
    tokens = [f"{place:064x}" for place in places]

    made = http2.SharedRequests(shared, tokens, b"{}", ids, places)

    assert len(made) == 3
    assert list(made) == [
        http2.request(shared, tokens[0], b"{}", f"{ids}000000000000"),
        http2.request(shared, tokens[1], b"{}", f"{ids}000000000007"),
        http2.request(shared, tokens[2], b"{}", f"{ids}ffffffffffff"),
    ]


def test_request_names_the_device_in_its_path_and_ends_with_the_id():
    assert http2.request(("a: 1", "b: 2"), TOKEN, b"{}", ID) == Request(
        path=f"/3/device/{TOKEN}",
        body=b"{}",
        headers=("a: 1", "b: 2", f"apns-id: {ID}"),
        method="POST",
        wanted_headers=frozenset(),
    )


def test_accepted_push_has_the_id_that_it_was_sent_with():
    verdict = http2.read_response(Response(200), ID)
    assert verdict == Verdict(200, message_id=ID)


@pytest.mark.parametrize(("reason", "status"), REASONS.items())
def test_every_reason_of_apples_is_read(reason, status):
    response = Response(status, f'{{"reason":"{reason}"}}'.encode())
    assert http2.read_response(response, ID) == Verdict(status, reason, ID)
    assert http2.read_reason(response) == reason


def test_reason_of_next_year_is_kept():
    assert http2.read_response(Response(400, b'{"reason": "BadMood"}'), ID).reason == "BadMood"


def test_410_tells_since_when_in_milliseconds():
    body = b'{"reason":"Unregistered","timestamp":1700000000123}'
    verdict = http2.read_response(Response(410, body), ID)
    assert verdict.dead_since == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    "timestamp",
    ["null", '"yesterday"', "true", "[]", "-1", "0", "NaN", "Infinity", "1e300", "9" * 30],
)
def test_rubbish_for_a_timestamp_is_no_time(timestamp):
    body = f'{{"reason":"Unregistered","timestamp":{timestamp}}}'.encode()
    verdict = http2.read_response(Response(410, body), ID)
    assert verdict.reason == "Unregistered"
    assert verdict.dead_since is None


def test_only_410_makes_a_device_token_dead():
    body = b'{"reason":"BadDeviceToken","timestamp":1700000000123}'
    assert http2.read_response(Response(400, body), ID).dead_since is None


def test_seconds_to_wait_are_handed_on():
    response = Response(503, b'{"reason":"ServiceUnavailable"}', retry_after=2.5)
    assert http2.read_response(response, ID).retry_after == 2.5


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><h1>502 Bad Gateway</h1></html>",
        b"\x00\xff\xfe\x80",
        b"[]",
        b'"Unregistered"',
        b"null",
        b"{}",
        b'{"reason":null}',
        b'{"reason":["Unregistered"]}',
        b'{"reason":""}',
        b'{"reason":"\\ud800"}',
        b'{"reason":"a\\nb"}',
        b'{"reason":"Unregis',
        b'{"reason":"' + b"x" * 1_000_000 + b'"}',
        b"[" * 1_000_000,
        b"9" * 10_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_body_that_gives_no_reason_leaves_the_status(body):
    verdict = http2.read_response(Response(502, body), ID)
    assert verdict == Verdict(502, "HTTP 502", ID)


@pytest.mark.parametrize("status", [0, 100, 201, 204, 301])
def test_only_200_is_accepted(status):
    assert http2.read_response(Response(status), ID).reason == f"HTTP {status}"


@given(st.integers(), st.binary())
@example(410, b'{"timestamp":1e400}')
@example(410, b'{"timestamp":-9e99}')
def test_no_answer_whatsoever_raises(status, body):
    verdict = http2.read_response(Response(status, body), ID)
    assert (verdict.reason is None) == (status == 200)


@given(
    st.sampled_from([400, 410]),
    st.text(max_size=40),
    st.one_of(st.integers(), st.floats(), st.text(), st.none()),
)
def test_no_object_whatsoever_raises(status, reason, timestamp):
    body = json.dumps({"reason": reason, "timestamp": timestamp}).encode()
    verdict = http2.read_response(Response(status, body), ID)
    assert verdict.reason in (reason, f"HTTP {status}")
