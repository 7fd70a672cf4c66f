"""The pretend GCM, over HTTP/1.1 and HTTP/2."""

import http.client
import json
import socket
import ssl
import time
from contextlib import closing
from urllib.parse import urlencode, urlsplit

import pytest


class GcmClient:
    """HTTP/1.1 towards GCM."""

    def __init__(self, emulator):
        self.url = urlsplit(emulator.endpoints.gcm)
        self.context = ssl.create_default_context(cafile=emulator.directory / "ca.pem")
        key = (emulator.directory / "gcm-api-key").read_text().strip()
        self.authorization = f"key={key}"
        self.timeout = 5

    def call(self, body, *, method="POST", path=None, **headers):
        named = {name.replace("_", "-"): text for name, text in headers.items() if text is not None}
        connection = http.client.HTTPSConnection(
            self.url.netloc, timeout=self.timeout, context=self.context
        )
        with closing(connection):
            connection.putrequest(method, path or self.url.path)
            for name, text in {"authorization": self.authorization, **named}.items():
                connection.putheader(name, text)
            connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read().decode()

    def send(self, **message):
        """Send JSON and return what GCM says, once it said 200."""
        status, _, answered = self.call(
            json.dumps(message).encode(), content_type="application/json"
        )
        assert status == 200, answered
        return json.loads(answered)

    def refusal(self, body):
        """Send JSON that is refused as a whole and return the status and the words."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answered = self.call(body, content_type="application/json; charset=utf-8")
        return status, answered

    def post(self, content_type=None, **fields):
        """Send plain text and return status and answer."""
        body = urlencode({name.replace("__", "."): text for name, text in fields.items()})
        status, _, answered = self.call(body.encode(), content_type=content_type)
        return status, answered


@pytest.fixture
def gcm(emulator):
    return GcmClient(emulator)


def errors(answered):
    return [result.get("error") for result in answered["results"]]


# Who may send -------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", ["", "key=wrong", "Bearer x", "key="])
def test_without_the_api_key_nobody_sends(emulator, gcm, authorization):
    gcm.authorization = authorization
    status, _, page = gcm.call(b'{"to":"a"}', content_type="application/json")
    assert status == 401
    assert "<html" in page
    assert emulator.received()[0]["answer"] == {"status": 401, "reason": "InvalidApiKey"}


@pytest.mark.parametrize("path", ["/gcm/send", "/fcm/send"])
def test_both_paths_are_served(gcm, path):
    status, _, answered = gcm.call(b'{"to":"a"}', path=path, content_type="application/json")
    assert (status, json.loads(answered)["success"]) == (200, 1)


def test_other_methods_and_paths_are_refused(gcm):
    assert gcm.call(b"", method="PUT")[0] == 405
    assert gcm.call(b"", path="/gcm/elsewhere")[0] == 404


# JSON ---------------------------------------------------------------------------------------------

FULL = {
    "collapse_key": "score",
    "priority": "high",
    "content_available": True,
    "mutable_content": False,
    "delay_while_idle": True,
    "time_to_live": 2_419_200,
    "restricted_package_name": "com.example.app",
    "data": {"score": "3:1", "n": 5},
    "notification": {"title": "Goal", "body_loc_args": ["x"]},
}


def test_a_message_with_everything_is_accepted(emulator, gcm):
    answered = gcm.send(to="a", **FULL)
    assert answered.keys() == {"multicast_id", "success", "failure", "canonical_ids", "results"}
    assert (answered["success"], answered["failure"], answered["canonical_ids"]) == (1, 0, 0)
    assert answered["results"][0].keys() == {"message_id"}
    (entry,) = emulator.received()
    assert (entry["service"], entry["token"], entry["payload"]) == ("gcm", "a", FULL)
    assert entry["headers"]["authorization"] == gcm.authorization[:6] + "…"


def test_results_are_in_the_order_of_the_ids(emulator, gcm):
    emulator.control("PUT", "/tokens/dead", {"reason": "Unregistered"})
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})
    emulator.control("PUT", "/tokens/busy", {"reason": "UNAVAILABLE"})
    answered = gcm.send(registration_ids=["a", "dead", "old", "busy", "dead", "a", ""])
    assert errors(answered) == [
        *(None, "NotRegistered", None, "Unavailable", "NotRegistered", None),
        "MissingRegistration",
    ]
    assert (answered["success"], answered["failure"], answered["canonical_ids"]) == (3, 4, 1)
    assert answered["results"][2]["registration_id"] == "new"
    ids = {result["message_id"] for result in answered["results"] if "message_id" in result}
    assert len(ids) == 3


def test_every_recipient_of_a_request_has_an_entry(emulator, gcm):
    emulator.control("PUT", "/tokens/dead", {"reason": "NotRegistered"})
    gcm.send(registration_ids=["a", "dead", "a"], data={"x": "y"})
    gcm.send(to="b")
    entries = emulator.received()
    assert [entry["token"] for entry in entries] == ["a", "dead", "a", "b"]
    assert [entry["answer"]["reason"] for entry in entries] == [None, "NotRegistered", None, None]
    first, *others, last = (entry["request"] for entry in entries)
    assert others == [first, first]
    assert last == first + 1
    assert entries[1]["payload"] == {"data": {"x": "y"}}
    assert emulator.control("GET", "/stats")["gcm"] == {"requests": 2}


def test_a_thousand_long_ids_are_taken_and_no_more(gcm):
    ids = [f"{number:0>200}" for number in range(1000)]
    assert gcm.send(registration_ids=ids)["success"] == 1000
    status, words = gcm.refusal({"registration_ids": [*ids, "x"]})
    assert (status, "1001" in words) == (400, True)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        *((word, word) for word in ("InvalidPackageName", "InvalidTtl", "NobodyKnows")),
        ("BadDeviceToken", "InvalidRegistration"),
        ("InvalidToken", "InvalidRegistration"),
        ("SENDER_ID_MISMATCH", "MismatchSenderId"),
        ("InternalServerError", "InternalServerError"),
        ("QUOTA_EXCEEDED", "DeviceMessageRateExceeded"),
        ("THIRD_PARTY_AUTH_ERROR", "InvalidApnsCredential"),
    ],
)
def test_a_scripted_device_is_refused_in_gcms_words(emulator, gcm, reason, word):
    emulator.control("PUT", "/tokens/a", {"reason": reason})
    assert errors(gcm.send(to="a")) == [word]


def test_what_is_unavailable_says_when_to_come_back(emulator, gcm):
    script = {"reason": "Unavailable", "times": 1, "retry_after": 7}
    emulator.control("PUT", "/tokens/a", script)
    body = b'{"registration_ids":["b","a"]}'
    status, headers, answered = gcm.call(body, content_type="application/json")
    assert (status, headers["retry-after"]) == (200, "7")
    assert errors(json.loads(answered)) == [None, "Unavailable"]
    _, headers, answered = gcm.call(body, content_type="application/json")
    assert "retry-after" not in headers
    assert errors(json.loads(answered)) == [None, None]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"data": {"from": "x"}}, "InvalidDataKey"),
        ({"data": {"google.x": "x"}}, "InvalidDataKey"),
        ({"data": {"gcm": "x"}}, "InvalidDataKey"),
        ({"time_to_live": -1}, "InvalidTtl"),
        ({"time_to_live": 2_419_201}, "InvalidTtl"),
        ({"data": {"k": "x" * 4096}}, "MessageTooBig"),
        ({"data": {"k": "x" * 3000}, "notification": {"body": "x" * 1200}}, "MessageTooBig"),
        ({"data": {"k": "x" * 4095}}, None),
        ({"time_to_live": 0}, None),
    ],
)
def test_a_message_that_no_device_can_get_fails_for_all(gcm, fields, error):
    assert errors(gcm.send(registration_ids=["a", "b"], **fields)) == [error, error]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"time_to_live":' + b"9" * 5000 + b"}",
        {"to": "a", "\ud800": 1},
        {"to": 5},
        {"to": "a", "registration_ids": ["b"]},
        {"to": "a", "condition": "'x' in topics"},
        {"registration_ids": []},
        {"registration_ids": "a"},
        {"registration_ids": ["a", 5]},
        {"to": "a", "data": "x"},
        {"to": "a", "data": []},
        {"to": "a", "dry_run": "true"},
        {"to": "a", "time_to_live": "60"},
        {"to": "a", "time_to_live": True},
        {"to": "a", "priority": "urgent"},
        {"to": "a", "colour": "red"},
        {"to": "/topics/a b"},
        {"to": "/topics/"},
    ],
)
def test_a_message_of_the_wrong_form_is_refused_in_one_line(emulator, gcm, body):
    status, words = gcm.refusal(body)
    assert status == 400
    assert words.count("\n") == 1
    assert emulator.received()[0]["answer"] == {"status": 400, "reason": "InvalidRequest"}


def test_a_message_to_nobody_misses_a_registration(emulator, gcm):
    assert errors(gcm.send(data={"x": "y"})) == ["MissingRegistration"]
    assert emulator.received()[0]["token"] is None


def test_half_a_surrogate_pair_does_no_harm(emulator, gcm):
    gcm.send(to="\ud800", data={"\udfff": "\ud800"})
    (entry,) = emulator.received()
    assert (entry["token"], entry["payload"]) == ("\ud800", {"data": {"\udfff": "\ud800"}})


def test_a_dry_run_is_named_so(gcm):
    assert gcm.send(to="a", dry_run=True)["results"] == [{"message_id": "fake_message_id"}]


# Topics and groups --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "name"),
    [({"to": "/topics/news"}, "news"), ({"condition": "'a' in topics"}, "'a' in topics")],
)
def test_a_topic_is_answered_with_a_number(emulator, gcm, target, name):
    answered = gcm.send(**target)
    assert answered.keys() == {"message_id"}
    assert isinstance(answered["message_id"], int)
    assert emulator.received()[0]["token"] == name


def test_a_topic_can_be_refused(emulator, gcm):
    emulator.control("PUT", "/tokens/news", {"reason": "TopicsMessageRateExceeded"})
    assert gcm.send(to="/topics/news") == {"error": "TopicsMessageRateExceeded"}
    assert gcm.send(to="/topics/x", data={"k": "x" * 2048}) == {"error": "MessageTooBig"}


@pytest.mark.parametrize("field", ["to", "notification_key"])
def test_a_group_counts_its_members(emulator, gcm, field):
    emulator.control("PUT", "/tokens/key", {"group": ["a", "dead", "b"]})
    assert gcm.send(**{field: "key"}) == {"success": 3, "failure": 0}
    emulator.control("PUT", "/tokens/dead", {"reason": "NotRegistered"})
    assert gcm.send(**{field: "key"}) == {
        "success": 2,
        "failure": 1,
        "failed_registration_ids": ["dead"],
    }
    assert [entry["token"] for entry in emulator.received()] == ["key", "key"]


# Plain text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded;charset=UTF-8", "text/plain"]
)
def test_what_is_not_called_json_is_plain_text(emulator, gcm, content_type):
    status, answered = gcm.post(
        content_type, registration_id="a", data__score="3:1", time_to_live="60", dry_run="0"
    )
    assert status == 200
    assert answered.startswith("id=0:")
    assert answered.count("\n") == 1
    (entry,) = emulator.received()
    payload = {"data": {"score": "3:1"}, "time_to_live": 60, "dry_run": False}
    assert (entry["token"], entry["payload"]) == ("a", payload)


def test_a_canonical_id_is_a_second_line(emulator, gcm):
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})
    _, answered = gcm.post(registration_id="old")
    first, second = answered.splitlines()
    assert first.startswith("id=")
    assert second == "registration_id=new"


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({}, "Error=MissingRegistration\n"),
        ({"registration_id": "dead"}, "Error=NotRegistered\n"),
        ({"registration_id": "a", "data__from": "x"}, "Error=InvalidDataKey\n"),
        ({"registration_id": "a", "time_to_live": "soon"}, "Error=InvalidTtl\n"),
        ({"registration_id": "a", "time_to_live": "2419201"}, "Error=InvalidTtl\n"),
        ({"registration_id": "a", "time_to_live": "9" * 5000}, "Error=InvalidTtl\n"),
        ({"registration_id": "a", "data__k": "x" * 4096}, "Error=MessageTooBig\n"),
    ],
)
def test_an_error_is_one_line(emulator, gcm, fields, answer):
    emulator.control("PUT", "/tokens/dead", {"reason": "Unregistered"})
    assert gcm.post(**fields) == (200, answer)


@pytest.mark.parametrize(
    "body",
    [
        b"registration_id=a&colour=red",
        b"registration_id=a&registration_id=b",
        b"registration_id=a&dry_run=perhaps",
        b"registration_id=%ff",
        b"registration_id=\xff",
    ],
)
def test_a_form_that_is_not_sound_is_refused(gcm, body):
    assert gcm.call(body)[0] == 400


def test_unavailable_is_an_http_error_in_plain_text(emulator, gcm):
    emulator.control("PUT", "/tokens/a", {"reason": "Unavailable", "retry_after": 3})
    status, headers, _ = gcm.call(b"registration_id=a")
    assert (status, headers["retry-after"]) == (500, "3")
    assert emulator.received()[0]["answer"] == {"status": 500, "reason": "Unavailable"}


# Faults -------------------------------------------------------------------------------------------


def test_a_fault_of_gcm_leaves_fcm_alone(emulator, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "status": 503, "retry_after": 2})
    status, headers, page = gcm.call(b'{"to":"a"}', content_type="application/json")
    assert (status, headers["retry-after"], "<html" in page) == (503, "2", True)
    assert gcm.call(b"", path="/v1/projects/pushtasks-emulator/messages:send")[0] == 401
    emulator.control("DELETE", "/faults")
    emulator.control("POST", "/faults", {"service": "fcm", "status": 503})
    assert gcm.send(to="a")["success"] == 1


def test_a_fault_is_noted_for_each_recipient(emulator, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "status": 500, "times": 1})
    gcm.call(b'{"registration_ids":["a","b"]}', content_type="application/json")
    entries = emulator.received()
    assert [(entry["token"], entry["answer"]["status"]) for entry in entries] == [
        ("a", 500),
        ("b", 500),
    ]


def test_any_answer_can_be_scripted(emulator, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "status": 200, "body": "{}"})
    assert gcm.send(to="a") == {}


def test_a_delay_holds_the_answer_back(emulator, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "delay": 0.1})
    began = time.monotonic()
    gcm.send(to="a")
    assert time.monotonic() - began >= 0.1


def test_a_reset_comes_instead_of_the_answer(emulator, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "reset_after": 1})
    with pytest.raises(OSError, match=r"reset|closed|EOF"):
        gcm.send(to="a")


def test_a_stall_gives_no_answer(emulator, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "stall": True})
    gcm.timeout = 0.2
    with pytest.raises(TimeoutError):
        gcm.send(to="a")


def test_http2_is_as_good(emulator, connect_to_google, gcm):
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})
    client = connect_to_google()
    headers = [("authorization", gcm.authorization), ("content-type", "application/json")]
    body = json.dumps({"to": "old", "data": {"k": "x" * 4000}}).encode()
    answered = client.request("/gcm/send", headers, body)
    assert answered.status == 200
    assert answered.json()["results"][0]["registration_id"] == "new"


def test_faults_hold_over_http2_too(emulator, connect_to_google, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "delay": 0.1, "reset_after": 2})
    client = connect_to_google()
    headers = [("authorization", gcm.authorization), ("content-type", "application/json")]
    began = time.monotonic()
    assert client.request("/gcm/send", headers, b'{"to":"a"}').status == 200
    assert time.monotonic() - began >= 0.1
    client.submit("/gcm/send", headers, b'{"to":"a"}')
    client.flush()
    with pytest.raises(ConnectionResetError):
        client.drain()


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_by_its_status_is_sent_without_one(emulator, gcm, status):
    emulator.control("POST", "/faults", {"service": "gcm", "status": status, "body": "x"})
    answered, _, body = gcm.call(b"")
    assert (answered, body) == (status, "")


def test_a_head_request_is_answered_without_a_body(gcm):
    status, _, body = gcm.call(b"", method="HEAD")
    assert (status, body) == (405, "")


def test_json_too_deep_to_be_shown_again_is_refused(emulator, gcm):
    for depth in (450, *range(900, 1000), 100_000):
        data = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
        status, _ = gcm.refusal(b'{"to":"x","data":' + data + b"}")
        assert status == (200 if depth == 450 else 400)
    assert len(emulator.control("GET", "/received")) == 102


def send_until_it_blocks(connection, data, most):
    """Return how many bytes were taken, `most` at the most."""
    sent = 0
    try:
        while sent < most:
            sent += connection.send(data)
    except TimeoutError:
        pass
    return sent


def test_requests_that_pile_up_behind_a_late_answer_are_left_with_the_client(emulator, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "delay": 3600})
    address = gcm.url.hostname, gcm.url.port
    request = b"POST /gcm/send HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    most = 64 * 1024 * 1024
    with gcm.context.wrap_socket(
        socket.create_connection(address), server_hostname=gcm.url.hostname
    ) as connection:
        connection.settimeout(1)
        assert send_until_it_blocks(connection, request * 1000, most) < most


def test_requests_left_with_the_client_are_taken_after_the_late_answer(emulator, gcm):
    emulator.control("POST", "/faults", {"service": "gcm", "delay": 1, "times": 1})
    address, count = (gcm.url.hostname, gcm.url.port), 1000
    head = "POST /gcm/send HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n"
    with gcm.context.wrap_socket(
        socket.create_connection(address), server_hostname=gcm.url.hostname
    ) as connection:
        connection.settimeout(30)
        connection.sendall((head.encode() + b"x" * 2000) * count)
        answers = b""
        while answers.count(b"HTTP/1.1 401") < count:
            answers += connection.recv(65536)
