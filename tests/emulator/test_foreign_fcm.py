"""firebase-admin, which Google wrote, with its own google-auth, against the pretend Google."""

import asyncio

import firebase_admin
import pytest
from firebase_admin import credentials, exceptions, messaging
from firebase_admin.messaging import _get_messaging_service, _MessagingService
from requests.adapters import HTTPAdapter
from urllib3 import Retry

pytestmark = pytest.mark.filterwarnings("ignore:Message.token is deprecated")


@pytest.fixture
def app(emulator, monkeypatch):
    """A Firebase app whose messages go to the emulator and whose retries do not wait."""
    path = "/v1/projects/{0}/messages:send"
    monkeypatch.setattr(_MessagingService, "FCM_URL", emulator.endpoints.fcm + path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(emulator.directory / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(emulator.directory / "ca.pem"))
    credential = credentials.Certificate(str(emulator.directory / "service-account.json"))
    app = firebase_admin.initialize_app(credential, {"httpTimeout": 5}, name="emulator")
    retries = Retry(status=4, status_forcelist=[500, 503], allowed_methods=None, backoff_factor=0)
    retries.raise_on_status = False
    session = _get_messaging_service(app)._client.session
    session.mount(emulator.endpoints.fcm, HTTPAdapter(max_retries=retries))
    yield app
    firebase_admin.delete_app(app)


def to(token, **options):
    notification = messaging.Notification(title="Goal", body="3:1")
    return messaging.Message(token=token, notification=notification, **options)


def test_a_message_is_accepted(emulator, app):
    name = messaging.send(to("device"), app=app)
    assert name.startswith("projects/pushtasks-emulator/messages/0:")
    (entry,) = emulator.received()
    message = {"token": "device", "notification": {"title": "Goal", "body": "3:1"}}
    assert (entry["token"], entry["payload"]["message"]) == ("device", message)


def test_a_message_with_everything_is_accepted(app):
    message = to(
        "device",
        data={"score": "3:1"},
        android=messaging.AndroidConfig(
            collapse_key="score",
            priority="high",
            ttl=3.5,
            notification=messaging.AndroidNotification(
                color="#aabbcc", sticky=True, vibrate_timings_millis=[100], notification_count=2
            ),
            fcm_options=messaging.AndroidFCMOptions("label"),
        ),
        apns=messaging.APNSConfig(
            headers={"apns-priority": "10"},
            payload=messaging.APNSPayload(messaging.Aps(badge=1, sound="default")),
        ),
        webpush=messaging.WebpushConfig(
            notification=messaging.WebpushNotification(title="x"),
            fcm_options=messaging.WebpushFCMOptions("https://example.com/"),
        ),
    )
    assert messaging.send(message, app=app)


def test_a_dry_run_is_named_so(app):
    name = messaging.send(to("device"), dry_run=True, app=app)
    assert name == "projects/pushtasks-emulator/messages/fake_message_id"


def test_a_topic_is_a_target(emulator, app):
    messaging.send(messaging.Message(topic="news", data={"a": "b"}), app=app)
    assert emulator.received()[0]["token"] == "news"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("UNREGISTERED", messaging.UnregisteredError),
        ("INVALID_ARGUMENT", exceptions.InvalidArgumentError),
        ("SENDER_ID_MISMATCH", messaging.SenderIdMismatchError),
        ("QUOTA_EXCEEDED", messaging.QuotaExceededError),
        ("THIRD_PARTY_AUTH_ERROR", messaging.ThirdPartyAuthError),
        ("INTERNAL", exceptions.InternalError),
        ("UNAVAILABLE", exceptions.UnavailableError),
    ],
)
def test_a_rejection_is_understood(emulator, app, reason, error):
    emulator.control("PUT", "/tokens/device", {"reason": reason})
    with pytest.raises(error):
        messaging.send(to("device"), app=app)


def test_a_value_that_fcm_does_not_take_is_an_invalid_argument(app):
    with pytest.raises(exceptions.InvalidArgumentError):
        messaging.send(to("device", data={"from": "x"}), app=app)


def test_what_is_unavailable_for_a_while_is_sent_in_the_end(emulator, app):
    script = {"reason": "UNAVAILABLE", "times": 2, "retry_after": 0}
    emulator.control("PUT", "/tokens/device", script)
    assert messaging.send(to("device"), app=app)
    statuses = [entry["answer"]["status"] for entry in emulator.received()]
    assert statuses == [503, 503, 200]


def test_many_messages_have_each_their_result(emulator, app):
    emulator.control("PUT", "/tokens/dead", {"reason": "UNREGISTERED"})
    batch = messaging.send_each([to("a"), to("dead"), to("b")], app=app)
    assert [answer.success for answer in batch.responses] == [True, False, True]
    assert isinstance(batch.responses[1].exception, messaging.UnregisteredError)


def test_many_messages_over_http2_have_each_their_result(emulator, app):
    async def send(messages):
        batch = await messaging.send_each_async(messages, app=app)
        # Left to delete_app, this would happen in another event loop, and fail.
        await _get_messaging_service(app)._async_client.aclose()
        return batch

    emulator.control("PUT", "/tokens/dead", {"reason": "UNREGISTERED"})
    messages = [to(f"device-{number}") for number in range(50)]
    batch = asyncio.run(send([*messages, to("dead")]))
    assert (batch.success_count, batch.failure_count) == (50, 1)
    assert emulator.control("GET", "/received/count") == {"count": 51}
