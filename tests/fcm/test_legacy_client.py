"""The legacy client meets the emulator's GCM, and servers that are not there."""

import json
import socket
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pushtasks.config import load_settings
from pushtasks.errors import InvalidPush, InvalidSettings
from pushtasks.fcm.legacy_client import LegacyClient
from pushtasks.net.http import Unanswered
from pushtasks.results import Verdict
from pushtasks.wire import gcm as wire


@pytest.fixture
def connect(emulator):
    """(settings of the app) → the client of the emulator's GCM."""
    clients = []

    def make(**changes):
        environ = {"PUSHTASKS_CONFIG": str(emulator.directory / "pushtasks.toml")}
        app = load_settings(None, environ=environ).gcm_app("classic")
        values = {**app.model_dump(exclude_unset=True), **changes}
        given = {name: it for name, it in values.items() if it is not None}
        clients.append(LegacyClient(type(app).model_validate(given)))
        return clients[-1]

    yield make
    for client in clients:
        client.close(0)


def send(client, targets, payload="Hi", **options):
    options = {"dry_run": False, "now": datetime.now(UTC), **options}
    push = client.message(payload, **options)
    return client.send([push(target) for target in targets])


def requests(emulator):
    return emulator.control("GET", "/stats")["gcm"]["requests"]


def test_every_device_has_its_own_verdict(connect, emulator):
    emulator.control("PUT", "/tokens/gone", {"reason": "NotRegistered"})
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})
    emulator.control("PUT", "/tokens/busy", {"reason": "Unavailable", "retry_after": 7, "times": 1})

    verdicts = send(connect(), ["a", "gone", "busy", "old", "busy", "a"])

    assert [verdict.reason for verdict in verdicts] == [
        *(None, "NotRegistered", "Unavailable"),
        *(None, None, None),
    ]
    assert [verdict.retry_after for verdict in verdicts] == [None, None, 7.0, None, None, None]
    assert [verdict.canonical_id for verdict in verdicts] == [None, None, None, "new", None, None]
    assert verdicts[0].message_id not in {None, verdicts[5].message_id}
    assert {verdict.status for verdict in verdicts} == {200}
    assert requests(emulator) == 1


def test_a_long_list_goes_in_as_few_requests_as_there_can_be(connect, emulator):
    emulator.control("PUT", "/tokens/id1700", {"reason": "NotRegistered"})

    verdicts = send(connect(), [f"id{number}" for number in range(2500)])

    assert requests(emulator) == 3
    assert [place for place, it in enumerate(verdicts) if it.reason] == [1700]


def test_topics_conditions_and_groups_are_sent_beside_devices(connect, emulator):
    emulator.control("PUT", "/tokens/group", {"group": ["m1", "m2"]})
    emulator.control("PUT", "/tokens/m2", {"reason": "NotRegistered"})
    targets = ["a", "/topics/news", {"notification_key": "group"}, {"condition": "'x' in topics"}]

    device, topic, group, condition = send(connect(), targets)

    assert device.message_id.startswith("0:")
    assert topic.message_id.isdecimal()
    assert condition.message_id.isdecimal()
    assert group == Verdict(200, failed_registration_ids=("m2",))
    emulator.control("PUT", "/tokens/m1", {"reason": "NotRegistered"})
    [group] = send(connect(), targets[2:3])
    assert (group.reason, group.failed_registration_ids) == ("Unavailable", ("m1", "m2"))


def test_a_message_arrives_as_it_was_said(connect, emulator):
    payload = {"time_to_live": 0, "collapse_key": "k", "data": {"n": 1}}

    send(connect(), ["a"], payload, dry_run=True)

    [entry] = emulator.received()
    assert entry["payload"] == {
        "time_to_live": 0,
        "collapse_key": "k",
        "data": {"n": "1"},
        "dry_run": True,
    }


def test_plain_text_has_a_request_for_each_device(connect, emulator):
    emulator.control("PUT", "/tokens/gone", {"reason": "NotRegistered"})
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})
    emulator.control("PUT", "/tokens/busy", {"reason": "Unavailable", "retry_after": 7})
    payload = {"data": {"ä": "&="}, "time_to_live": 0}

    verdicts = send(connect(form="text"), ["gone", "busy", "old", "a"], payload)

    assert verdicts[:2] == [
        Verdict(200, "NotRegistered"),
        Verdict(500, "HTTP 500", retry_after=7.0),
    ]
    assert [verdict.canonical_id for verdict in verdicts[2:]] == ["new", None]
    assert [entry["payload"] for entry in emulator.received()] == [payload] * 4


def test_what_cannot_be_said_is_refused_before_anything_is_sent(connect, emulator):
    with pytest.raises(InvalidPush, match=r"webpush\.headers\.TTL"):
        send(connect(), ["a"], {"webpush": {"headers": {"TTL": "1"}}})
    with pytest.raises(InvalidPush, match="notification"):
        send(connect(form="text"), ["a"], "Hi")

    assert requests(emulator) == 0


def test_a_wrong_api_key_is_said_so_and_never_shown(connect):
    client = connect(api_key="wrong-secret")

    assert send(client, ["a", "b"]) == [Verdict(401, "InvalidApiKey")] * 2
    assert "wrong-secret" not in repr(client)


@pytest.mark.parametrize("key", ["two words", "with\nline", "schlüssel", "\x7f"])
def test_an_api_key_that_no_header_can_carry_is_a_mistake_in_the_settings(connect, key):
    with pytest.raises(InvalidSettings, match=r"gcm\.classic\.api_key: must be") as caught:
        connect(api_key=key)

    assert key not in str(caught.value)


def test_a_ca_file_that_is_not_there_is_a_mistake_in_the_settings(connect, tmp_path):
    with pytest.raises(InvalidSettings, match=r"gcm\.classic\.ca_file: .*none\.pem is no file"):
        connect(ca_file=str(tmp_path / "none.pem"))


def test_an_answer_with_too_few_results_may_mean_anything_for_every_device(connect, emulator):
    fault = {"service": "gcm", "status": 200, "body": '{"results": [{"message_id": "m"}]}'}
    emulator.control("POST", "/faults", fault)

    verdicts = send(connect(), ["a", "b"])

    assert {(v.status, v.maybe_sent) for v in verdicts} == {(None, True)}
    assert "1 results for 2 registration ids" in verdicts[0].reason


def test_a_connection_that_is_reset_may_have_carried_the_push(connect, emulator):
    emulator.control("POST", "/faults", {"service": "gcm", "reset_after": 1})

    [verdict] = send(connect(), ["a"])

    assert (verdict.status, verdict.maybe_sent) == (None, True)
    assert verdict.reason.startswith("the connection was lost")


def test_a_server_that_asks_to_wait_is_not_asked_on_for_the_rest_of_a_list(connect, emulator):
    emulator.control("POST", "/faults", {"service": "gcm", "status": 503, "retry_after": 9})

    verdicts = send(connect(), [f"id{number}" for number in range(2500)])

    assert requests(emulator) == 1
    assert set(verdicts[:1000]) == {Verdict(503, "HTTP 503", retry_after=9.0)}
    assert set(verdicts[1000:]) == {
        Verdict(None, "not sent after HTTP 503 with Retry-After", retry_after=9.0)
    }


def test_a_server_in_trouble_that_names_no_time_is_asked_for_each_part_of_a_list(connect, emulator):
    emulator.control("POST", "/faults", {"service": "gcm", "status": 503, "times": 1})

    verdicts = send(connect(), [f"id{number}" for number in range(1001)])

    assert (verdicts[0].reason, verdicts[1000].reason) == ("HTTP 503", None)


def test_a_server_that_never_answers_is_given_up_after_three_calls(connect, emulator):
    emulator.control("POST", "/faults", {"service": "gcm", "stall": True})

    verdicts = send(connect(timeout=0.3), [f"id{number}" for number in range(5000)])

    assert {(v.status, v.maybe_sent) for v in verdicts[:3000]} == {(None, True)}
    assert {(v.status, v.maybe_sent) for v in verdicts[3000:]} == {(None, False)}
    assert "not sent after 3 calls without an answer: no answer in time" in verdicts[3000].reason


def test_a_server_that_is_not_there_was_sent_nothing(connect):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    [verdict] = send(connect(server=f"https://127.0.0.1:{port}/gcm/send"), ["a"])

    assert verdict == Verdict(None, "no connection (Connection refused)")


def test_a_probe_reaches_nobody_and_tells_whether_the_key_is_known(connect, emulator):
    assert b"MissingRegistration" in connect().probe().body
    assert connect(form="text").probe().status == 400
    assert connect(api_key="wrong").probe().status == 401
    assert isinstance(connect(server="http://127.0.0.1:1/gcm/send").probe(), Unanswered)


class Relay(BaseHTTPRequestHandler):
    """A private relay of 2013 without TLS."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"]))
        results = [{"message_id": f"0:{name}"} for name in request["registration_ids"]]
        body = json.dumps({"results": results}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Leave the test's output alone."""


def test_a_relay_without_tls_is_as_good(connect):
    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as relay:
        relay.asked = []
        threading.Thread(target=relay.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{relay.server_port}/any/path"

        client = connect(server=url, api_key="abc", ca_file=None)
        verdicts = send(client, ["a", "b"])
        client.close(0)
        relay.shutdown()

    assert [verdict.message_id for verdict in verdicts] == ["0:a", "0:b"]
    assert relay.asked == [("/any/path", "key=abc")]


def test_without_a_server_of_its_own_an_app_posts_to_google(connect):
    assert connect(server=None).url == wire.URL
