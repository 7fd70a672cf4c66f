"""pushjack, which others wrote when these services were new, against the pretend ones.

It is pointed here by its public attributes. It checks no server's certificate, as was the custom.
"""

import ssl
import time

import pytest
from pushjack import APNSClient, GCMClient
from pushjack.exceptions import (
    APNSInvalidTokenError,
    APNSInvalidTokenSizeError,
    APNSProcessingError,
    GCMInternalServerError,
    GCMInvalidRegistrationError,
    GCMUnregisteredDeviceError,
)

pytestmark = pytest.mark.filterwarnings("ignore:ssl:DeprecationWarning")

DEVICES = [f"{number:064x}" for number in range(1, 51)]


def wrap_socket(sock, certfile, *, do_handshake_on_connect):
    """Do what ssl.wrap_socket did until Python 3.12 took it away."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certfile)
    return context.wrap_socket(sock, do_handshake_on_connect=do_handshake_on_connect)


@pytest.fixture
def apns(emulator, tmp_path, monkeypatch):
    if not hasattr(ssl, "wrap_socket"):
        monkeypatch.setattr(ssl, "wrap_socket", wrap_socket, raising=False)
    names = ("client.pem", "client-key.pem")
    both = tmp_path / "both.pem"
    both.write_text("".join((emulator.directory / name).read_text() for name in names))
    client = APNSClient(str(both), default_error_timeout=0.5, default_batch_size=10)
    client.host, port = emulator.endpoints.gateway.split(":")
    client.port = int(port)
    client.feedback_host, port = emulator.endpoints.feedback.split(":")
    client.feedback_port = int(port)
    yield client
    client.close()


@pytest.fixture
def gcm(emulator, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(emulator.directory / "ca.pem"))
    client = GCMClient((emulator.directory / "gcm-api-key").read_text().strip())
    client.url = emulator.endpoints.gcm
    yield client
    client.conn.session.close()


def accepted(emulator, count):
    """Return the devices of what was accepted, once so much has arrived."""
    deadline = time.monotonic() + 5
    while emulator.control("GET", "/received/count")["count"] < count:
        assert time.monotonic() < deadline, "it did not arrive"
        time.sleep(0.005)
    return [entry["token"] for entry in emulator.received() if not entry["answer"]["reason"]]


# The gateway --------------------------------------------------------------------------------------


def test_notifications_are_accepted(emulator, apns):
    answered = apns.send(DEVICES, "Hi", badge=3, sound="ping", title="Goal", extra={"n": 1})
    assert (answered.successes, answered.failures) == (DEVICES, [])
    assert accepted(emulator, 50) == DEVICES
    first = emulator.received()[0]
    assert first["payload"] == {
        "aps": {"alert": {"body": "Hi", "title": "Goal"}, "badge": 3, "sound": "ping"},
        "n": 1,
    }
    assert (first["frame"]["command"], first["frame"]["priority"]) == (2, 10)
    assert first["frame"]["expiration"] == pytest.approx(time.time() + 30 * 86400, abs=60)


@pytest.mark.parametrize(
    ("reason", "error"),
    [("Unregistered", APNSInvalidTokenError), ("ServiceUnavailable", APNSProcessingError)],
)
def test_an_error_response_names_the_device(emulator, apns, reason, error):
    emulator.control("PUT", f"/tokens/{DEVICES[24]}", {"reason": reason})
    answered = apns.send(DEVICES, "Hi")
    assert {token: type(each) for token, each in answered.token_errors.items()} == {
        DEVICES[24]: error
    }


def test_what_follows_an_error_is_sent_again_and_arrives_once(emulator, apns):
    for device in (DEVICES[0], DEVICES[7], DEVICES[30]):
        emulator.control("PUT", f"/tokens/{device}", {"reason": "Unregistered"})
    answered = apns.send(DEVICES, "Hi")
    assert sorted(answered.failures) == [DEVICES[0], DEVICES[7], DEVICES[30]]
    assert accepted(emulator, 50) == answered.successes


def test_a_token_of_the_wrong_size_is_told(apns):
    answered = apns.send([DEVICES[0], "abcd"], "Hi")
    assert [type(error) for error in answered.errors] == [APNSInvalidTokenSizeError]


def test_the_feedback_list_is_read_and_empty_then(emulator, apns):
    records = [
        {"token": device, "timestamp": 1_400_000_000 + number}
        for number, device in enumerate(DEVICES)
    ]
    emulator.control("POST", "/feedback", records)
    expired = [
        {"token": each.token, "timestamp": each.timestamp} for each in apns.get_expired_tokens()
    ]
    assert expired == records
    assert apns.get_expired_tokens() == []


# GCM ----------------------------------------------------------------------------------------------


def test_messages_are_accepted(emulator, gcm):
    message = {"score": "3:1", "notification": {"title": "Goal"}}
    answered = gcm.send(["a", "b"], message, time_to_live=60, collapse_key="score")
    assert (answered.successes, answered.errors) == (["a", "b"], [])
    assert emulator.received()[1]["payload"] == {
        "notification": {"title": "Goal"},
        "data": {"score": "3:1"},
        "collapse_key": "score",
        "time_to_live": 60,
        "priority": "high",
    }


def test_canonical_ids_and_errors_belong_to_their_ids(emulator, gcm):
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})
    for name, reason in (("dead", "Unregistered"), ("bad", "BadDeviceToken"), ("x", "INTERNAL")):
        emulator.control("PUT", f"/tokens/{name}", {"reason": reason})
    answered = gcm.send(["a", "dead", "old", "bad", "x"], "Hi")
    assert answered.successes == ["a", "old"]
    assert answered.canonical_ids == [("old", "new")]
    assert [(type(error), error.identifier) for error in answered.errors] == [
        (GCMUnregisteredDeviceError, "dead"),
        (GCMInvalidRegistrationError, "bad"),
        (GCMInternalServerError, "x"),
    ]


def test_a_long_list_comes_in_requests_of_a_thousand(emulator, gcm):
    answered = gcm.send([f"id-{number}" for number in range(2500)], "Hi")
    assert len(answered.successes) == 2500
    requests = [entry["request"] for entry in emulator.received()]
    assert [requests.count(number) for number in dict.fromkeys(requests)] == [1000, 1000, 500]


def test_one_id_is_sent_alone(emulator, gcm):
    assert gcm.send("alone", "Hi", dry_run=True).data[0]["results"] == [
        {"message_id": "fake_message_id"}
    ]
    assert emulator.received()[0]["token"] == "alone"
