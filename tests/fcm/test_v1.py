import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushtasks.fcm.v1 import read_response, request, send_path
from pushtasks.net.http import Request, Response
from pushtasks.results import Verdict
from pushtasks.wire import fcm as wire


def google_error(status, general, *details):
    error = {"code": status, "status": general, "message": "Words that nobody should go by."}
    if details:
        error["details"] = list(details)
    return Response(status, json.dumps({"error": error}).encode())


def fcm_error(code):
    return {"@type": wire.ERROR_TYPE, "errorCode": code}


BAD_REQUEST = {
    "@type": wire.BAD_REQUEST_TYPE,
    "fieldViolations": [{"field": "message.data[0].value", "description": "Invalid value"}],
}


def test_a_request_posts_json_with_the_access_token():
    assert send_path("my-project") == "/v1/projects/my-project/messages:send"
    assert request(send_path("1234"), b"{}", "Bearer ya29") == Request(
        path="/v1/projects/1234/messages:send",
        body=b"{}",
        headers=("authorization: Bearer ya29", "content-type: application/json"),
        method="POST",
    )


def test_a_project_id_cannot_leave_its_place_in_the_path():
    assert send_path("a/../b?c") == "/v1/projects/a%2F..%2Fb%3Fc/messages:send"


def test_success_gives_the_name_of_the_message():
    response = Response(200, b'{\n  "name": "projects/p/messages/0:15"\n}\n')
    assert read_response(response) == Verdict(200, message_id="projects/p/messages/0:15")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"name": 5}', b'{"name": ""}', b"{"])
def test_success_stands_even_if_its_body_cannot_be_read(body):
    assert read_response(Response(200, body)) == Verdict(200)


@pytest.mark.parametrize("code", sorted(wire.ERROR_CODES))
def test_the_reason_is_the_error_code(code):
    status, general = wire.ERROR_CODES[code]
    response = google_error(status, general, BAD_REQUEST, fcm_error(code))
    assert read_response(response) == Verdict(status, reason=code)


def test_an_unknown_error_code_is_kept_as_text():
    response = google_error(400, "INVALID_ARGUMENT", fcm_error("TOO_MANY_UNICORNS"))
    assert read_response(response).reason == "TOO_MANY_UNICORNS"


def test_the_older_name_of_a_third_party_auth_error_is_read_as_the_newer():
    response = google_error(401, "UNAUTHENTICATED", fcm_error("APNS_AUTH_ERROR"))
    assert read_response(response).reason == "THIRD_PARTY_AUTH_ERROR"


HTML = b"<!DOCTYPE html><html lang=en><title>Error</title>"


def error_info(reason):
    return {"@type": wire.ERROR_INFO_TYPE, "reason": reason, "domain": "googleapis.com"}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (google_error(401, "UNAUTHENTICATED"), "UNAUTHENTICATED"),
        (
            google_error(401, "UNAUTHENTICATED", error_info("CREDENTIALS_MISSING")),
            "UNAUTHENTICATED",
        ),
        (
            google_error(401, "UNAUTHENTICATED", error_info("ACCESS_TOKEN_EXPIRED")),
            "UNAUTHENTICATED",
        ),
        (Response(401), "UNAUTHENTICATED"),
        (google_error(403, "PERMISSION_DENIED"), "PERMISSION_DENIED"),
        (
            google_error(403, "PERMISSION_DENIED", error_info("SERVICE_DISABLED")),
            "PERMISSION_DENIED",
        ),
        (Response(404, HTML), "NOT_FOUND"),
        (google_error(404, "NOT_FOUND"), "NOT_FOUND"),
        (google_error(400, "INVALID_ARGUMENT", BAD_REQUEST), "BAD_REQUEST"),
        (google_error(400, "INVALID_ARGUMENT"), "BAD_REQUEST"),
        (Response(502, HTML), "HTTP 502"),
    ],
)
def test_an_error_without_an_fcm_error_is_not_taken_for_one_with_it(response, reason):
    assert read_response(response) == Verdict(response.status, reason=reason)
    assert reason not in wire.ERROR_CODES


@pytest.mark.parametrize(
    ("status", "general"), [(429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL"), (503, "UNAVAILABLE")]
)
def test_a_passing_trouble_has_the_word_of_google_with_and_without_details(status, general):
    assert read_response(google_error(status, general)).reason == general


@pytest.mark.parametrize("status", [302, 405, 413, 429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        b"\x00\xff\xfe",
        b'{"error": {"code": 503, "status": "UNAVAIL',
        b"null",
        b"[1]",
        b'"UNAVAILABLE"',
        b'{"error": "UNREGISTERED"}',
        b'{"error": ["UNREGISTERED"]}',
        b'{"error": {"status": "UNREGISTERED"}}',
        b'{"error": {"status": 5, "details": 5}}',
        b'{"error": {"details": {"errorCode": "UNREGISTERED"}}}',
        b'{"error": {"details": ["UNREGISTERED", null, {"errorCode": "UNREGISTERED"}]}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_answer_of_google_is_named_by_its_status(status, body):
    assert read_response(Response(status, body)) == Verdict(status, reason=f"HTTP {status}")


@pytest.mark.parametrize("code", [5, None, "", "TWO\nLINES", "\ud800", ["UNREGISTERED"]])
def test_an_error_code_that_is_no_word_is_none(code):
    assert read_response(google_error(404, "NOT_FOUND", fcm_error(code))).reason == "NOT_FOUND"


def test_the_wait_that_google_asks_for_is_handed_on():
    response = google_error(503, "UNAVAILABLE", fcm_error("UNAVAILABLE"))._replace(retry_after=7.0)
    assert read_response(response) == Verdict(503, reason="UNAVAILABLE", retry_after=7.0)


shapes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "details", "@type", "errorCode", "status", "name"]), inner
        )
    ),
    max_leaves=12,
)


@given(
    st.integers(0, 999),
    st.binary(max_size=200) | shapes.map(lambda shape: json.dumps(shape).encode()),
)
@example(404, b'{"error": {"details": [{"@type": "%s"}]}}' % wire.ERROR_TYPE.encode())
def test_no_response_is_too_odd_to_be_read(status, body):
    verdict = read_response(Response(status, body))
    assert verdict.status == status
    assert (verdict.reason is None) == (200 <= status < 300)
