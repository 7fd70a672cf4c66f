from datetime import UTC, datetime, timedelta

import pytest

from pushtasks import InvalidPush
from pushtasks.fanout.devices import checked, device_check
from pushtasks.store.fanout_state import Spec

TOKEN = "ab" * 32


@pytest.mark.parametrize(
    ("provider", "item", "entry"),
    [
        ("apns", f" {TOKEN}\n", TOKEN),
        ("apns", {"token": TOKEN}, TOKEN),
        ("apns", {"registration_id": TOKEN, "priority": 5}, [TOKEN, {"priority": 5}]),
        ("apns", (TOKEN, {"payload": "own"}), [TOKEN, {"payload": "own"}]),
        ("apns", [TOKEN, {}], TOKEN),
        ("gcm", "a:b", "a:b"),
        ("gcm", {"topic": "news"}, {"topic": "news"}),
        ("gcm", {"topic": "news", "payload": "own"}, [{"topic": "news"}, {"payload": "own"}]),
        ("gcm", {"token": "a:b"}, "a:b"),
        ("gcm", ["a:b", {"payload": "own"}], ["a:b", {"payload": "own"}]),
        ("mixed", ("apns", TOKEN), ["apns", TOKEN]),
        ("mixed", ["gcm", "a:b"], ["gcm", "a:b"]),
        ("mixed", ("gcm", "a:b", {"payload": "own"}), ["gcm", "a:b", {"payload": "own"}]),
        ("mixed", {"provider": "apns", "token": TOKEN}, ["apns", TOKEN]),
    ],
)
def test_a_device_comes_in_several_forms(provider, item, entry):
    assert device_check(Spec(provider, "default", "Hi"))(item) == entry


@pytest.mark.parametrize(
    ("provider", "item", "told"),
    [
        ("apns", "xyz", "device token 'xyz' has characters"),
        ("apns", "", "device token is empty"),
        ("apns", 7, "int is no device: give a token"),
        ("apns", None, "NoneType is no device"),
        ("apns", {"topic": "news"}, "object without a token or device_token"),
        ("apns", [TOKEN, {"color": 1}], "override 'color' is unknown"),
        ("apns", [TOKEN, {"payload": "x" * 5000}], "5020 bytes"),
        ("apns", [TOKEN, {"apns_id": "1"}], "apns_id '1' is no UUID"),
        ("apns", [TOKEN, {"expiration": -1}], "expiration -1"),
        ("gcm", "a b", "registration id 'a b': must be visible ASCII"),
        ("gcm", ["a", {"payload": "x" * 5000}], "5000 bytes of notification and data"),
        ("gcm", ["a", {"priority": 5}], "override 'priority': a device at Google"),
        ("mixed", TOKEN, "provider None: devices are mixed"),
        ("mixed", ("fax", TOKEN), "provider 'fax': devices are mixed"),
        ("mixed", ("apns", "xyz"), "device token 'xyz' has characters"),
        ("mixed", ([], "xyz"), "devices are mixed"),
    ],
)
def test_a_device_that_cannot_be_sent_to_says_why(provider, item, told):
    with pytest.raises(InvalidPush, match=told):
        device_check(Spec(provider, "default", "Hi"))(item)


def test_a_message_that_is_too_large_for_topics_spoils_topics_alone():
    check = device_check(Spec("gcm", "default", "x" * 3000))

    assert check("a") == "a"
    with pytest.raises(InvalidPush, match="over the 2048 of a topic"):
        check({"topic": "news"})


def test_expirations_count_from_now_on():
    soon = datetime.now(UTC) + timedelta(minutes=2)

    shared = checked(Spec("apns", "default", "Hi", {"expiration": 60, "topic": None})).options
    _, own = device_check(Spec("apns", "default", "Hi"))([TOKEN, {"expiration": 60}])

    for options in (shared, own):
        assert options.keys() == {"expiration"}
        assert datetime.now(UTC) < datetime.fromisoformat(options["expiration"]) < soon


@pytest.mark.parametrize(
    ("provider", "payload", "options", "told"),
    [
        ("fax", "Hi", {}, "provider 'fax' is none of apns, gcm, mixed"),
        ("apns", "x" * 5000, {}, "bytes"),
        ("apns", "Hi", {"priority": 3}, "priority 3"),
        ("apns", "Hi", {"dry_run": True}, "fan-out to apns has no option 'dry_run'"),
        ("gcm", {"nope": 1}, {}, "payload: 'nope' is no known field"),
        ("gcm", "Hi", {"topic": "news"}, "fan-out to gcm has no option 'topic'"),
        ("mixed", {"apns": "Hi"}, {}, "payload: devices are mixed: give a text, or"),
        ("mixed", {"apns": "Hi", "gcm": {"nope": 1}}, {}, "'nope' is no known field"),
    ],
)
def test_what_all_devices_share_is_refused_at_once(provider, payload, options, told):
    with pytest.raises(InvalidPush, match=told):
        checked(Spec(provider, "default", payload, options))


@pytest.mark.parametrize("chunk", [0, 1001])
def test_a_chunk_has_its_bounds(chunk):
    with pytest.raises(InvalidPush, match=f"chunk {chunk}: a task takes 1 to 1000 devices"):
        checked(Spec("apns", "default", "Hi", chunk=chunk))


def test_mixed_devices_get_the_payload_of_their_provider():
    payload = {"apns": "x" * 100, "gcm": "y" * 3000}

    check = device_check(Spec("mixed", "default", payload))

    assert check(("gcm", "a")) == ["gcm", "a"]
    with pytest.raises(InvalidPush, match="2048"):
        check(("gcm", {"topic": "news"}))
