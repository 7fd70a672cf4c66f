import http.client
import json
import ssl
import time
import urllib.parse
from contextlib import closing

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


class FcmClient:
    """HTTP/1.1 towards FCM and its token endpoint."""

    def __init__(self, emulator):
        self.account = json.loads((emulator.directory / "service-account.json").read_text())
        self.server = emulator.endpoints.fcm
        self.context = ssl.create_default_context(cafile=emulator.directory / "ca.pem")
        self.authorization = None
        self.timeout = 5

    def call(self, path, body, headers=None, method="POST"):
        host = self.server.removeprefix("https://")
        connection = http.client.HTTPSConnection(host, timeout=self.timeout, context=self.context)
        with closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read()

    def assertion(self, *, key=None, key_id=None, **changes):
        now = int(time.time())
        claims = {
            "iss": self.account["client_email"],
            "aud": self.account["token_uri"],
            "scope": SCOPE,
            "iat": now,
            "exp": now + 3600,
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        headers = {"kid": key_id or self.account["private_key_id"]}
        return jwt.encode(claims, key or self.account["private_key"], "RS256", headers)

    def token(self, assertion, grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer"):
        form = {"grant_type": grant_type, "assertion": assertion}
        status, _, body = self.call("/token", urllib.parse.urlencode(form).encode())
        return status, json.loads(body)

    def authorize(self):
        _, answered = self.token(self.assertion())
        self.authorization = f"Bearer {answered['access_token']}"

    def send(self, message=None, *, body=None, project="pushtasks-emulator", **beside):
        if body is None:
            body = json.dumps({"message": message, **beside}).encode()
        headers = {"Authorization": self.authorization} if self.authorization else {}
        path = f"/v1/projects/{project}/messages:send"
        status, headers, answered = self.call(path, body, headers)
        return status, headers, json.loads(answered)

    def errors(self, message, **beside):
        """Return the status, the error codes of FCM and the fields that are complained of."""
        status, _, answered = self.send(message, **beside)
        details = answered["error"].get("details", [])
        assert answered["error"]["code"] == status
        codes = [entry["errorCode"] for entry in details if entry["@type"] == FCM_ERROR]
        violations = [entry for entry in details if entry["@type"] == BAD_REQUEST]
        fields = [each["field"] for entry in violations for each in entry["fieldViolations"]]
        return status, codes, fields


@pytest.fixture
def unauthorized(emulator):
    return FcmClient(emulator)


@pytest.fixture
def fcm(unauthorized):
    unauthorized.authorize()
    return unauthorized


# The token endpoint -------------------------------------------------------------------------------


def test_a_sound_assertion_earns_an_access_token(unauthorized):
    status, answered = unauthorized.token(unauthorized.assertion())
    assert status == 200
    assert answered.keys() == {"access_token", "expires_in", "token_type"}
    assert (answered["expires_in"], answered["token_type"]) == (3599, "Bearer")


def test_an_assertion_may_be_made_out_to_google(unauthorized):
    assertion = unauthorized.assertion(aud="https://oauth2.googleapis.com/token")
    assert unauthorized.token(assertion)[0] == 200


def test_a_wider_scope_will_do(unauthorized):
    scope = "https://www.googleapis.com/auth/cloud-platform openid"
    assert unauthorized.token(unauthorized.assertion(scope=scope))[0] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody@else"},
        {"aud": "https://example.com/token"},
        {"scope": "openid"},
        {"scope": None},
        {"exp": None},
        {"iat": None},
        {"exp": int(time.time()) + 90_000},
        {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600},
        {"key_id": "0" * 40},
        {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
    ],
)
def test_an_assertion_that_is_not_sound_is_refused(unauthorized, changes):
    status, answered = unauthorized.token(unauthorized.assertion(**changes))
    assert (status, answered["error"]) == (400, "invalid_grant")
    assert answered["error_description"]


def test_another_grant_is_refused(unauthorized):
    status, answered = unauthorized.token("x", grant_type="client_credentials")
    assert (status, answered["error"]) == (400, "unsupported_grant_type")


# Who may send -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "CREDENTIALS_MISSING"),
        ("Bearer unknown", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ("Basic eDp5", "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
    ],
)
def test_without_an_access_token_nobody_sends(unauthorized, authorization, reason):
    unauthorized.authorization = authorization
    status, _, answered = unauthorized.send({"token": "t"})
    assert (status, answered["error"]["status"]) == (401, "UNAUTHENTICATED")
    (info,) = answered["error"]["details"]
    assert (info["@type"], info["reason"]) == (ERROR_INFO, reason)


def test_another_project_is_denied(fcm):
    status, _, answered = fcm.send({"token": "t"}, project="elsewhere")
    assert (status, answered["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert FCM_ERROR not in str(answered)


@pytest.mark.parametrize(("method", "path"), [("POST", "/batch"), ("GET", "/v1/projects/p/x")])
def test_a_wrong_path_is_answered_with_a_page(fcm, method, path):
    status, headers, body = fcm.call(path, None, method=method)
    assert (status, headers["content-type"]) == (404, "text/html")
    assert body.startswith(b"<!DOCTYPE html>")


# Messages -----------------------------------------------------------------------------------------

FULL = {
    "token": "t",
    "data": {"score": "3:1"},
    "notification": {"title": "Goal", "body": "3:1", "image": "https://example.com/a.png"},
    "android": {
        "collapse_key": "score",
        "priority": "high",
        "ttl": "3.5s",
        "data": {"score": "3:1"},
        "notification": {
            "color": "#aabbcc",
            "title_loc_args": ["x"],
            "sticky": True,
            "notification_count": 2,
        },
        "fcm_options": {"analytics_label": "x" * 50},
    },
    "apns": {"headers": {"apns-priority": "10"}, "payload": {"aps": {"badge": 1}, "x": [1]}},
    "webpush": {
        "headers": {"TTL": "60"},
        "data": {"a": "b"},
        "notification": {"title": "x", "actions": []},
        "fcm_options": {"link": "https://example.com/"},
    },
    "fcm_options": {"analytics_label": "x"},
}


def test_a_sound_message_is_accepted_with_a_name_of_its_own(fcm):
    names = set()
    for _ in range(2):
        status, _, answered = fcm.send(FULL)
        assert status == 200
        assert answered.keys() == {"name"}
        names.add(answered["name"])
    assert len(names) == 2
    assert all(name.startswith("projects/pushtasks-emulator/messages/0:") for name in names)


def test_camel_case_is_as_good(fcm):
    message = {
        "token": "t",
        "android": {"collapseKey": "x", "notification": {"channelId": "c", "titleLocArgs": ["x"]}},
        "fcmOptions": {"analyticsLabel": "x"},
    }
    status, _, answered = fcm.send(message, validateOnly=True)
    assert status == 200
    assert answered == {"name": "projects/pushtasks-emulator/messages/fake_message_id"}


@pytest.mark.parametrize(
    "target",
    [
        {"token": "a:b-c_d"},
        {"fid": "f"},
        {"topic": "news-1_x.y~%"},
        {"condition": "'a' in topics && ('b' in topics || !('c' in topics))"},
    ],
)
def test_every_target_is_taken(emulator, fcm, target):
    assert fcm.send(target)[0] == 200
    (entry,) = emulator.received()
    assert (entry["service"], entry["token"]) == ("fcm", *target.values())
    assert entry["payload"] == {"message": target}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"token": "t", "colour": "red"}, "message"),
        ({"token": "t", "android": {"colour": "red"}}, "message.android"),
        ({"token": "t", "notification": {"sound": "x"}}, "message.notification"),
        ({"token": "t", "data": {"a": "b", "n": 1}}, "message.data[1].value"),
        ({"token": "t", "data": {"n": {"a": "b"}}}, "message.data[0].value"),
        ({"token": "t", "data": "x"}, "message.data"),
        ({"token": 5}, "message.token"),
        ({"token": "t", "android": []}, "message.android"),
        ({"token": "t", "android": {"direct_boot_ok": "yes"}}, "message.android.direct_boot_ok"),
        (
            {"token": "t", "apns": {"headers": {"apns-priority": 10}}},
            "message.apns.headers[0].value",
        ),
        ({"token": "t", "topic": "x"}, "message"),
    ],
)
def test_a_message_of_the_wrong_form_is_a_bad_request(fcm, message, field):
    assert fcm.errors(message) == (400, [], [field])


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{", b"\xff", b'{"message":5}', b'{"messages":{}}'),
        b'{"message":{"token":"a","data":{"a":"\\ud800"}}}',
        b'{"message":{"token":"a","data":{"\\uDC00":"a"}}}',
        b'{"message":{"token":"a","notification":{"body":"\xed\xa0\x80"}}}',
    ],
)
def test_a_body_of_the_wrong_form_is_a_bad_request(fcm, body):
    status, _, answered = fcm.send(body=body)
    assert (status, answered["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert [entry["@type"] for entry in answered["error"]["details"]] == [BAD_REQUEST]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({}, "message"),
        ({"token": ""}, "message.token"),
        ({"topic": "/topics/x"}, "message.topic"),
        ({"condition": "'a' in topics && "}, "message.condition"),
        ({"condition": "('a' in topics"}, "message.condition"),
        ({"condition": " || ".join(f"'{i}' in topics" for i in range(6))}, "message.condition"),
        ({"token": "t", "data": {"from": "x"}}, "message.data"),
        ({"token": "t", "data": {"google.x": "x"}}, "message.data"),
        ({"token": "t", "android": {"data": {"gcm.x": "x"}}}, "message.android.data"),
        ({"token": "t", "android": {"ttl": "60"}}, "message.android.ttl"),
        ({"token": "t", "android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"token": "t", "android": {"priority": "5"}}, "message.android.priority"),
        (
            {"token": "t", "android": {"notification": {"color": "red"}}},
            "message.android.notification.color",
        ),
        (
            {"token": "t", "fcm_options": {"analytics_label": "x" * 51}},
            "message.fcm_options.analytics_label",
        ),
        (
            {"token": "t", "webpush": {"fcm_options": {"link": "http://x"}}},
            "message.webpush.fcm_options.link",
        ),
    ],
)
def test_a_value_that_fcm_does_not_take_is_an_invalid_argument(fcm, message, field):
    assert fcm.errors(message) == (400, ["INVALID_ARGUMENT"], [field])


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ({"token": "t", "data": {"x": ""}}, 4096),
        ({"topic": "t", "data": {"x": ""}}, 2048),
        ({"condition": "'a' in topics", "data": {"x": ""}}, 2048),
    ],
)
def test_a_message_may_be_as_large_as_its_target_allows(fcm, message, limit):
    message["data"]["x"] = "x" * (limit - 1)
    assert fcm.send(message)[0] == 200
    message["data"]["x"] += "x"
    assert fcm.errors(message) == (400, [], [])


def test_an_apple_payload_that_is_too_large_is_refused(fcm):
    message = {"token": "t", "apns": {"payload": {"x": "x" * 4096}}}
    assert fcm.errors(message) == (400, [], [])


def test_a_body_far_too_large_is_refused(fcm):
    assert fcm.errors({"token": "t", "data": {"x": "x" * 1_000_000}}) == (400, [], [""])


# Scripted devices and faults ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "error", "code"),
    [
        ("UNREGISTERED", (404, "NOT_FOUND"), "UNREGISTERED"),
        ("NotRegistered", (404, "NOT_FOUND"), "UNREGISTERED"),
        ("Unregistered", (404, "NOT_FOUND"), "UNREGISTERED"),
        ("BadDeviceToken", (400, "INVALID_ARGUMENT"), "INVALID_ARGUMENT"),
        ("InvalidRegistration", (400, "INVALID_ARGUMENT"), "INVALID_ARGUMENT"),
        ("MismatchSenderId", (403, "PERMISSION_DENIED"), "SENDER_ID_MISMATCH"),
        ("TooManyRequests", (429, "RESOURCE_EXHAUSTED"), "QUOTA_EXCEEDED"),
        ("InternalServerError", (500, "INTERNAL"), "INTERNAL"),
        ("ServiceUnavailable", (503, "UNAVAILABLE"), "UNAVAILABLE"),
        ("THIRD_PARTY_AUTH_ERROR", (401, "UNAUTHENTICATED"), "THIRD_PARTY_AUTH_ERROR"),
        ("MADE_UP", (400, "INVALID_ARGUMENT"), "MADE_UP"),
    ],
)
def test_a_scripted_device_is_answered_in_googles_words(emulator, fcm, reason, error, code):
    token = "a/b:c d"
    path = f"/tokens/{urllib.parse.quote(token, safe='')}"
    assert emulator.control("PUT", path, {"reason": reason, "retry_after": 7}) == {}
    status, headers, answered = fcm.send({"token": token})
    assert (status, answered["error"]["status"]) == error
    assert answered["error"]["details"] == [{"@type": FCM_ERROR, "errorCode": code}]
    assert headers["retry-after"] == "7"
    assert emulator.received()[0]["answer"] == {"status": error[0], "reason": code}


def test_a_topic_can_be_scripted(emulator, fcm):
    emulator.control("PUT", "/tokens/news", {"reason": "QUOTA_EXCEEDED"})
    assert fcm.errors({"topic": "news"}) == (429, ["QUOTA_EXCEEDED"], [])


@pytest.mark.parametrize(
    ("status", "codes"),
    [(429, ["QUOTA_EXCEEDED"]), (500, ["INTERNAL"]), (503, ["UNAVAILABLE"]), (401, []), (403, [])],
)
def test_a_fault_is_answered_as_google_would(emulator, fcm, status, codes):
    emulator.control("POST", "/faults", {"status": status, "times": 1})
    assert fcm.errors({"token": "t"}) == (status, codes, [])
    assert fcm.send({"token": "t"})[0] == 200


def test_a_gateway_answers_with_a_page(emulator, fcm):
    emulator.control("POST", "/faults", {"status": 502, "retry_after": 30})
    path = "/v1/projects/pushtasks-emulator/messages:send"
    status, headers, body = fcm.call(path, b"{}")
    assert (status, headers["retry-after"], b"<html" in body) == (502, "30", True)


def test_faults_leave_the_token_endpoint_alone(emulator, unauthorized):
    emulator.control("POST", "/faults", {"status": 503})
    assert unauthorized.token(unauthorized.assertion())[0] == 200


def test_a_delay_holds_an_answer_back_over_http11_too(emulator, fcm):
    emulator.control("POST", "/faults", {"delay": 0.1})
    began = time.monotonic()
    assert fcm.send({"token": "t"})[0] == 200
    assert time.monotonic() - began >= 0.1


def test_a_reset_strikes_over_http11_too(emulator, fcm):
    emulator.control("POST", "/faults", {"reset_after": 1})
    with pytest.raises(OSError, match=r"reset|closed|EOF"):
        fcm.send({"token": "t"})


def test_a_stall_holds_over_http11_too(emulator, fcm):
    emulator.control("POST", "/faults", {"stall": True})
    fcm.timeout = 0.2
    with pytest.raises(TimeoutError):
        fcm.authorize()


def test_a_condition_full_of_quotes_is_refused_at_once(fcm):
    fcm.authorize()
    fcm.timeout = 5
    assert fcm.errors({"condition": "'" * 400_000})[0] == 400


def test_an_assertion_with_text_for_a_time_is_judged_by_the_number(fcm):
    now = int(time.time())
    assert fcm.token(fcm.assertion(exp=str(now + 3600)))[0] == 200
    status, answered = fcm.token(fcm.assertion(exp=str(now + 7200)))
    assert (status, answered["error"]) == (400, "invalid_grant")


def test_a_name_that_is_longer_than_any_is_unknown(fcm):
    fcm.authorize()
    assert fcm.errors({"token": "x", "x" * 100_000: 1})[0] == 400


def test_the_second_form_of_android_fields_is_known(fcm):
    fcm.authorize()
    assert fcm.send({"token": "x", "android_v2": {"remote_notification": {}}})[0] == 200
    assert fcm.errors({"token": "x", "androidV2": 1})[0] == 400
