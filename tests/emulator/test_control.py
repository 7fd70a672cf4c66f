import http.client
import socket

import pytest

DEVICE = "ab" * 32


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("PUT", f"/tokens/{DEVICE}", {}, "the body must name a reason, a canonical_id or a g"),
        ("PUT", f"/tokens/{DEVICE}", [], "the body must be a JSON object"),
        ("PUT", f"/tokens/{DEVICE}", {"why": "x"}, "unknown key 'why': known are "),
        ("PUT", f"/tokens/{DEVICE}", {"reason": 5}, "reason must be text without spaces"),
        ("PUT", f"/tokens/{DEVICE}", {"reason": "x", "times": 0}, "times must be a whole number"),
        ("PUT", f"/tokens/{DEVICE}", {"reason": "x", "timestamp": 1.5}, "timestamp must be milli"),
        ("PUT", f"/tokens/{DEVICE}", {"reason": "x", "status": 42}, "status must be an HTTP"),
        ("POST", "/faults", {}, "the body names no fault"),
        ("POST", "/faults", {"goaway_every": 0}, "goaway_every must be a whole number from 1"),
        ("POST", "/faults", {"delay": -1}, "delay must be seconds from 0 to 3600, not -1"),
        ("POST", "/faults", {"delay": True}, "delay must be seconds"),
        ("POST", "/faults", {"stall": "yes"}, "stall must be true or false, not 'yes'"),
        ("POST", "/faults", {"retry_after": 2}, "retry_after needs a status beside it"),
        ("POST", "/faults", {"status": 503, "retry_after": " "}, "retry_after must be seconds or"),
        ("POST", "/faults", {"delay": float("inf")}, "the body is not JSON: Infinity is no JSON"),
        ("PUT", "/tokens/key", {"group": []}, "group must be a list of 1 to 20 registration ids"),
        ("POST", "/faults", {"delay": 1, "service": "x"}, "service must be one of apns, gateway, "),
        (
            "POST",
            "/faults",
            {"service": "gcm", "max_streams": 1},
            "gcm knows no max_streams: it kn",
        ),
        (
            "POST",
            "/faults",
            {"service": "apns", "close_after": 1},
            "apns knows no close_after: it ",
        ),
        (
            "POST",
            "/faults",
            {"service": "gateway", "status": 503},
            "gateway knows no status: it kn",
        ),
        ("POST", "/faults", {"status": 500, "body_size": 10**9}, "body_size must be bytes from 0"),
        ("POST", "/faults", {"status": 500, "body": "", "body_size": 1}, "body and body_size excl"),
        ("POST", "/feedback", {"token": DEVICE}, "a record must have a timestamp"),
        ("POST", "/feedback", [{"timestamp": 1}], "a record must have a token"),
        ("POST", "/feedback", {"token": "xyz", "timestamp": 1}, "token must be 1 to 100 bytes in"),
        ("POST", "/feedback", {"token": DEVICE, "timestamp": 2**32}, "timestamp must be seconds"),
        ("POST", "/feedback", ["x"], "the body must be a JSON object"),
        ("GET", "/received?since=x", None, "since must be a whole number from 0, not 'x'"),
        ("GET", "/received?since=" + "9" * 5000, None, "since must be a whole number from 0, not"),
        ("GET", "//[", None, "the path cannot be read: Invalid IPv6 URL"),
        ("GET", "/nowhere", None, "there is no GET /nowhere"),
        ("PUT", "/tokens/", {"reason": "x"}, "there is no PUT /tokens/"),
        ("DELETE", f"/tokens/{DEVICE}", None, "there is no DELETE"),
    ],
)
def test_a_mistake_is_named_in_one_line(emulator, method, path, body, error):
    answered = emulator.control(method, path, body)
    assert answered.keys() == {"error"}
    assert answered["error"].startswith(error)
    assert "\n" not in answered["error"]


def test_a_refused_fault_changes_nothing(emulator, apns):
    emulator.control("POST", "/faults", {"status": 503, "delay": -1})
    assert apns.push().status == 200


def test_what_is_no_json_is_refused(emulator):
    host = emulator.endpoints.control.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("POST", "/faults", b"{")
    with connection.getresponse() as response:
        assert response.status == 400
        assert b"the body is not JSON" in response.read()
    connection.close()


def test_a_connection_serves_many_requests(emulator):
    host = emulator.endpoints.control.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    for _ in range(3):
        connection.request("GET", "/received/count")
        with connection.getresponse() as response:
            assert response.read() == b'{"count":0}'
    connection.close()


def test_pipelined_requests_are_answered_in_order(emulator):
    host, port = emulator.endpoints.control.removeprefix("http://").split(":")
    request = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=5) as connected:
        connected.sendall(request % b"/received" + request % b"/received/count" + last)
        answered = b"".join(iter(lambda: connected.recv(4096), b""))
    assert answered.index(b"[]") < answered.index(b'{"count":0}') < answered.index(b"there is no")


def test_what_is_no_http_is_refused(emulator):
    host, port = emulator.endpoints.control.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connected:
        connected.sendall(b"hello?\r\n\r\n")
        answered = b"".join(iter(lambda: connected.recv(4096), b""))
    assert answered.startswith(b"HTTP/1.1 400 ")


def test_what_arrived_is_shown_without_secrets(emulator, apns):
    emulator.control("DELETE", "/received")
    apns.push(apns_collapse_id="score")
    (entry,) = emulator.received()
    assert entry.keys() == {"n", "service", "token", "payload", "headers", "answer", "at"}
    assert (entry["n"], entry["service"], entry["token"]) == (1, "apns", DEVICE)
    assert entry["payload"] == {"aps": {"alert": "Hi"}}
    assert entry["headers"]["apns-collapse-id"] == "score"
    assert entry["headers"]["authorization"] == apns.authorization[: len("bearer ") + 6] + "…"
    assert entry["answer"] == {"status": 200, "reason": None}


def test_what_arrived_since_is_shown_in_order(emulator, apns):
    emulator.control("DELETE", "/received")
    for body in (b'{"n":1}', b'{"n":2}', b"no json"):
        apns.push(body=body)
    assert [entry["payload"] for entry in emulator.received()] == [{"n": 1}, {"n": 2}, "no json"]
    since = emulator.control("GET", "/received?since=1")
    assert [entry["n"] for entry in since] == [2, 3]
    assert since[1]["answer"] == {"status": 400, "reason": "PayloadEmpty"}
    assert emulator.control("GET", "/received?since=3") == []
    assert emulator.control("GET", "/received/count") == {"count": 3}
