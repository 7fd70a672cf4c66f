import pickle
from datetime import UTC, datetime, timedelta

import pytest

from pushtasks.apns import channels, live_activity
from pushtasks.apns.channels import ChannelError, Channels, Service
from pushtasks.errors import InvalidPush, PushError
from pushtasks.net.http import Request, Response
from pushtasks.results import Verdict
from pushtasks.wire.apns_http2 import CHANNEL_REASONS

CHANNEL = "dHN0LXNyY2gtY2hubA=="
ID = "123e4567-e89b-42d3-a456-426614174000"
UPDATE = {"aps": {"timestamp": 1, "event": "update", "content-state": {"home": 1}}}
UPDATE_BYTES = b'{"aps":{"timestamp":1,"event":"update","content-state":{"home":1}}}'


class Apple:
    """Answers each request with the next of some responses and keeps what was asked."""

    def __init__(self, *responses):
        self.responses = list(responses)
        self.asked = []

    def __call__(self, service, request):
        self.asked.append((service, request))
        return self.responses.pop(0)


def refusal(function, *arguments, **options):
    with pytest.raises(InvalidPush) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestRequests:
    def test_broadcast(self):
        request = channels.broadcast_request(
            "com.example.app",
            CHANNEL,
            UPDATE,
            priority=5,
            expiration=datetime(2030, 1, 31, 12, tzinfo=UTC),
            request_id=ID.upper(),
        )
        assert request == Request(
            "/4/broadcasts/apps/com.example.app",
            UPDATE_BYTES,
            (
                "content-type: application/json",
                f"apns-channel-id: {CHANNEL}",
                "apns-push-type: liveactivity",
                "apns-priority: 5",
                "apns-expiration: 1896091200",
                f"apns-request-id: {ID}",
            ),
            "POST",
            frozenset({"apns-request-id"}),
        )

    def test_broadcast_goes_at_once_and_is_stored_nowhere_unless_told(self):
        assert channels.broadcast_request("a.b", CHANNEL, UPDATE).headers == (
            "content-type: application/json",
            f"apns-channel-id: {CHANNEL}",
            "apns-push-type: liveactivity",
            "apns-priority: 10",
            "apns-expiration: 0",
        )

    @pytest.mark.parametrize(("storage", "policy"), [("newest", b"1"), ("none", b"0")])
    def test_create(self, storage, policy):
        assert channels.create_request("com.example.app", storage) == Request(
            "/1/apps/com.example.app/channels",
            b'{"message-storage-policy":' + policy + b',"push-type":"LiveActivity"}',
            ("content-type: application/json",),
            "POST",
            frozenset({"apns-channel-id"}),
        )

    def test_read_delete_and_list(self):
        line = f"apns-channel-id: {CHANNEL}"
        path = "/1/apps/com.example.app/channels"
        assert channels.read_request("com.example.app", CHANNEL) == Request(
            path, b"", (line,), "GET"
        )
        assert channels.delete_request("com.example.app", CHANNEL) == Request(
            path, b"", (line,), "DELETE"
        )
        assert channels.list_request("com.example.app") == Request(
            "/1/apps/com.example.app/all-channels", b"", (), "GET", body_limit=1024 * 1024
        )

    def test_bundle_id_cannot_leave_its_place_in_the_path(self):
        assert channels.list_request("../x").path == "/1/apps/..%2Fx/all-channels"


class TestRefusedRequests:
    @pytest.mark.parametrize("channel_id", ["", "a\r\nb: c", "a b", None, "ü"])
    def test_channel_id(self, channel_id):
        message = refusal(channels.read_request, "a.b", channel_id)
        assert message.startswith(f"channel_id {channel_id!r}")
        assert "`list` tells" in message

    def test_start_of_an_activity(self):
        start = live_activity.start({}, attributes_type="G", attributes={}, alert="Hi")
        message = refusal(channels.broadcast_request, "a.b", CHANNEL, start)
        assert message.startswith("payload.aps.event 'start'")
        assert "push-to-start token" in message

    @pytest.mark.parametrize("payload", ["Hi", {}, {"aps": {"alert": "Hi"}}])
    def test_payload_that_is_no_live_activity(self, payload):
        message = refusal(channels.broadcast_request, "a.b", CHANNEL, payload)
        assert message.startswith("payload.aps.event None")

    def test_payload_above_5120_bytes(self):
        fits = UPDATE | {"x": "y" * (5120 - len(UPDATE_BYTES) - len(',"x":""'))}
        assert len(channels.broadcast_request("a.b", CHANNEL, fits).body) == 5120
        message = refusal(channels.broadcast_request, "a.b", CHANNEL, fits | {"z": 1})
        assert "takes 5120" in message

    @pytest.mark.parametrize("priority", [0, 7, "5", True])
    def test_priority(self, priority):
        message = refusal(channels.broadcast_request, "a.b", CHANNEL, UPDATE, priority=priority)
        assert message == f"priority {priority!r}: use 1, 5 or 10, or leave it out for 10"

    def test_storage(self):
        message = refusal(channels.create_request, "a.b", "all")
        assert message == "storage 'all': it must be 'newest' or 'none'"


class TestChannels:
    def test_create_returns_the_id_of_the_header(self):
        apple = Apple(Response(201, headers={"apns-channel-id": CHANNEL}))
        assert Channels("a.b", apple).create("none") == CHANNEL
        assert apple.asked == [(Service.CHANNELS, channels.create_request("a.b", "none"))]

    def test_read_returns_what_apns_tells(self):
        apple = Apple(Response(200, b'{"message-storage-policy":1,"push-type":"LiveActivity"}'))
        assert Channels("a.b", apple).read(CHANNEL) == {
            "message-storage-policy": 1,
            "push-type": "LiveActivity",
        }
        assert apple.asked == [(Service.CHANNELS, channels.read_request("a.b", CHANNEL))]

    def test_delete_asks_once(self):
        apple = Apple(Response(204))
        Channels("a.b", apple).delete(CHANNEL)
        assert apple.asked == [(Service.CHANNELS, channels.delete_request("a.b", CHANNEL))]

    def test_list_returns_all(self):
        apple = Apple(Response(200, b'{"channels":["YQ==","Yg=="]}'))
        assert Channels("a.b", apple).list() == ("YQ==", "Yg==")

    def test_broadcast_goes_to_the_other_service(self):
        apple = Apple(Response(200, headers={"apns-request-id": ID}))
        verdict = Channels("a.b", apple).broadcast(CHANNEL, UPDATE, request_id=ID)
        assert verdict == Verdict(200, message_id=ID)
        (service, request) = apple.asked[0]
        assert service is Service.BROADCAST
        assert request.body == UPDATE_BYTES

    def test_broadcast_expires_in_seconds_from_now(self):
        apple = Apple(Response(200))
        before = datetime.now(UTC)
        Channels("a.b", apple).broadcast(CHANNEL, UPDATE, expiration=3600)
        line = next(one for one in apple.asked[0][1].headers if "expiration" in one)
        expires = datetime.fromtimestamp(int(line.partition(": ")[2]), UTC)
        assert timedelta(seconds=3600) <= expires - before <= timedelta(seconds=3630)

    @pytest.mark.parametrize(("reason", "status"), CHANNEL_REASONS.items())
    def test_refused_broadcast_is_a_verdict(self, reason, status):
        apple = Apple(Response(status, f'{{"reason":"{reason}"}}'.encode(), retry_after=3.0))
        verdict = Channels("a.b", apple).broadcast(CHANNEL, UPDATE)
        assert verdict == Verdict(status, reason, retry_after=3.0)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda app: app.create(),
            lambda app: app.read(CHANNEL),
            lambda app: app.delete(CHANNEL),
            lambda app: app.list(),
        ],
        ids=["create", "read", "delete", "list"],
    )
    @pytest.mark.parametrize(
        ("response", "reason"),
        [
            (Response(400, b'{"reason":"ChannelNotRegistered"}'), "ChannelNotRegistered"),
            (Response(502, b"<html>"), "HTTP 502"),
            (Response(202), "HTTP 202"),
        ],
    )
    def test_refusal_is_an_error_with_status_and_reason(self, ask, response, reason):
        with pytest.raises(ChannelError) as caught:
            ask(Channels("a.b", Apple(response)))
        assert (caught.value.status, caught.value.reason) == (response.status, reason)
        assert str(caught.value) == (
            f"APNs answered a channel request with status {response.status}: {reason}"
        )

    @pytest.mark.parametrize(
        ("ask", "response"),
        [
            (lambda app: app.create(), Response(201)),
            (lambda app: app.read(CHANNEL), Response(200, b"<html>")),
            (lambda app: app.read(CHANNEL), Response(200)),
            (lambda app: app.list(), Response(200, b"{}")),
            (lambda app: app.list(), Response(200, b'{"channels":["YQ==","Y')),
            (lambda app: app.list(), Response(200, b'{"channels":[7]}')),
        ],
    )
    def test_answer_without_what_was_asked_for_is_an_error(self, ask, response):
        with pytest.raises(ChannelError, match="no "):
            ask(Channels("a.b", Apple(response)))


def test_error_survives_what_celery_does_to_it():
    error = ChannelError("APNs answered …", 400, "BadChannelId")
    for copy in (type(error)(*error.args), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert isinstance(copy, PushError)
        assert (str(copy), copy.status, copy.reason) == ("APNs answered …", 400, "BadChannelId")
