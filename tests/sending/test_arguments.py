"""What callers get wrong: refused where they call, in a line that says what, why and what to do."""

from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

import pushtasks
from pushtasks import InvalidPush
from pushtasks.sending.arguments import (
    APNS_MANY_LIMIT,
    GCM_LIST_LIMIT,
    apns_entry,
    masked,
    shown_token,
)

TOKEN = "ab" * 32
SECRET = "c0ffee" * 10
NAIVE = datetime(2030, 1, 31, 12)  # noqa: DTZ001


@pytest.fixture(autouse=True)
def host():
    """A web process: it knows one app, and has no broker, which nothing here may reach."""
    app = Celery("host", broker="redis://127.0.0.1:1/0", set_as_current=True)
    app.conf.pushtasks = {"gcm": {"default": {"credentials": "service-account.json"}}}
    yield app
    app.close()


def settings_with_apns(app):
    app.conf.pushtasks = {
        "apns": {
            "default": {
                "topic": "com.example.app",
                "key": "AuthKey.p8",
                "key_id": "ABC1234567",
                "team_id": "TEAM123456",
            }
        },
        "gcm": {"default": {"credentials": "service-account.json"}},
    }


def refusal(task, *arguments, **options):
    """Return the message of a refused call; it is one line and shows no device in full."""
    with pytest.raises(InvalidPush) as caught:
        getattr(pushtasks, task).delay(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert SECRET not in message
    assert isinstance(caught.value, ValueError)
    return message


def itself():
    payload = {}
    payload["aps"] = payload
    return payload


def text(size):
    """Return a payload of so many bytes of JSON."""
    return {"aps": {"alert": "x" * (size - len('{"aps":{"alert":""}}'))}}


APNS = [
    # (arguments, options, value, rule, way out)
    (("", "Hi"), {}, "device token is empty", "even length", "pass what the app got"),
    (("   ", "Hi"), {}, "is empty", "even length", "pass what the app got"),
    ((SECRET + "a", "Hi"), {}, "'c0ffee…' has 61 digits", "even length", "pass what"),
    (("xyz" + SECRET, "Hi"), {}, "'xyzc0f…'", "no hexadecimal digits", "pass what"),
    ((None, "Hi"), {}, "is of type NoneType", "hexadecimal text", "pass what"),
    ((b"\xab" * 32, "Hi"), {}, "is of type bytes", "hexadecimal text", "pass what"),
    ((TOKEN, text(4097)), {}, "payload is 4097 bytes", "APNs takes 4096", "shorten it"),
    (
        (TOKEN, text(5121)),
        {"push_type": "voip"},
        "payload is 5121 bytes",
        "APNs takes 5120",
        "shorten it",
    ),
    ((TOKEN, {"when": NAIVE}), {}, "payload.when", "of type datetime", "make it text"),
    ((TOKEN, {"aps": {"x": {1}}}), {}, "payload.aps.x", "of type set", "make it text"),
    ((TOKEN, {"x": float("nan")}), {}, "payload.x is nan", "JSON does not know", "finite"),
    ((TOKEN, {1: "x"}), {}, "a key of type int", "keys must be text", "text"),
    ((TOKEN, itself()), {}, "nested deeper", "64 levels", "flatten it"),
    ((TOKEN, None), {}, "of type NoneType", "must be a dict", "or a text"),
    ((TOKEN, ["Hi"]), {}, "of type list", "must be a dict", "or a text"),
    ((TOKEN, {"aps": "Hi"}), {}, "payload.aps is of type str", "must be a dict", "alert"),
    ((TOKEN, "Hi"), {"topik": "x"}, "'topik'", "no option", "did you mean 'topic'?"),
    ((TOKEN, "Hi"), {"xyzzy": 1}, "'xyzzy'", "no option", "there are token, payload, app"),
    ((TOKEN,), {}, "'payload'", "missing a required argument", "it takes token, payload"),
    ((TOKEN, "Hi", "topic"), {}, "too many positional", "pushtasks.send_apns", "it takes token"),
    ((TOKEN, "Hi"), {"push_type": "alarm"}, "'alarm'", "push_type", "alert"),
    ((TOKEN, "Hi"), {"priority": 7}, "7", "priority", "10"),
    ((TOKEN, "Hi"), {"expiration": NAIVE}, "datetime", "no datetime with a time zone", "now(UTC)"),
    ((TOKEN, "Hi"), {"expiration": -1}, "-1", "must be 0 (try once) or more", "leave it out"),
    ((TOKEN, "Hi"), {"expiration": "soon"}, "'soon'", "ISO 8601", "seconds from now"),
    ((TOKEN, "Hi"), {"collapse_id": "x" * 65}, "collapse_id", "64", "bytes"),
    ((TOKEN, "Hi"), {"apns_id": "4711"}, "'4711'", "no UUID", "leave it out"),
    ((TOKEN, "Hi"), {"topic": "not a bundle"}, "not a bundle", "topic", "bundle id"),
    (
        (TOKEN, "Hi"),
        {"environment": "staging"},
        "'staging'",
        "neither production nor sandbox",
        "environment",
    ),
    ((TOKEN, "Hi"), {"app": ""}, "app: ''", "is no name", "give the name"),
    ((TOKEN, "Hi"), {"app": 7}, "app: 7", "is no name", "give the name"),
    ((TOKEN, "Hi"), {"app": "defualt"}, "'defualt'", "apns settings", "add [apns.defualt]"),
]

GCM = [
    (("", "Hi"), {}, "registration id ''", "at least one", "leave devices without an id out"),
    ((None, "Hi"), {}, "NoneType", "registration id", ""),
    (({"topik": "news"}, "Hi"), {}, "topik", "topic", "condition"),
    (("id", {"data": {"n": 1, "from": "x"}}), {}, "data", "from", ""),
    (("id", {"data": {"google.x": "x"}}), {}, "google.x", "data", ""),
    (("id", {"notifikation": {}}), {}, "notifikation", "notification", "did you mean"),
    (("id", {"to": "x"}), {}, "to", "registration_ids", ""),
    (("id", {"data": {"x": "y" * 4097}}), {}, "bytes", "4096", ""),
    (("id", {"data": {"x": {1}}}), {}, "data.x", "cannot be said in JSON", "give text"),
    (("id", 7), {}, "int", "payload", ""),
    (("id", "Hi"), {"dry_run": "yes"}, "'yes'", "neither True nor False", "dry_run"),
    (("id", "Hi"), {"dryrun": True}, "'dryrun'", "no option", "did you mean 'dry_run'?"),
    (("id", "Hi"), {"app": "nope"}, "'nope'", "gcm settings", "there are default"),
    (
        (["id"] * (GCM_LIST_LIMIT + 1), "Hi"),
        {},
        "10001",
        "more than the 10000",
        "use send_gcm_many",
    ),
]


@pytest.mark.parametrize(("arguments", "options", "value", "rule", "way_out"), APNS)
def test_a_push_to_apple_that_cannot_be_sent_is_refused(
    host, arguments, options, value, rule, way_out
):
    settings_with_apns(host)
    message = refusal("send_apns", *arguments, **options)

    for part in (value, rule, way_out):
        assert part in message


@pytest.mark.parametrize(("arguments", "options", "value", "rule", "way_out"), GCM)
def test_a_message_to_google_that_cannot_be_sent_is_refused(
    arguments, options, value, rule, way_out
):
    for task in ("send_gcm", "send_fcm"):
        message = refusal(task, *arguments, **options)

        for part in (value, rule, way_out):
            assert part in message


@pytest.mark.parametrize(
    ("tokens", "parts"),
    [
        (TOKEN, ["str is no list", "[token, {overrides}]"]),
        ({TOKEN: {}}, ["dict is no list", "give a list"]),
        ([TOKEN] * (APNS_MANY_LIMIT + 1), ["1001 devices", "1000 of one task", "each slice"]),
    ],
)
def test_a_list_of_devices_is_a_list_of_at_most_a_thousand(host, tokens, parts):
    settings_with_apns(host)
    message = refusal("send_apns_many", tokens, "Hi")

    for part in parts:
        assert part in message


def test_many_registration_ids_are_a_list():
    message = refusal("send_gcm_many", "id", "Hi")

    assert message == "registration_ids: str is no list; give a list, or use send_gcm"


def test_what_the_devices_of_a_list_share_is_refused_at_the_call(host):
    settings_with_apns(host)

    assert "4097 bytes" in refusal("send_apns_many", [TOKEN], text(4097))
    assert "'apns_id'" in refusal("send_apns_many", [TOKEN], "Hi", apns_id="x")
    assert "data" in refusal("send_gcm_many", ["id"], {"data": {"from": "x"}})


@pytest.mark.parametrize(
    ("limit", "options"),
    [(4096, {}), (4096, {"push_type": "alert"}), (5120, {"push_type": "voip"})],
)
def test_the_largest_payload_of_each_push_type_is_taken(host, limit, options):
    settings_with_apns(host)

    checked = pushtasks.send_apns.checked(TOKEN, text(limit), **options)

    assert checked["payload"] == text(limit)


def test_a_relative_expiration_becomes_an_instant_that_holds_over_all_tries(host):
    settings_with_apns(host)
    before = datetime.now(UTC)

    checked = pushtasks.send_apns.checked(TOKEN, "Hi", expiration=60)

    assert timedelta(0) <= checked["expiration"] - before - timedelta(seconds=60)
    assert checked["expiration"] - datetime.now(UTC) <= timedelta(seconds=60)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ([TOKEN], "entry of 1 items"),
        ([TOKEN, "Hi"], "or a pair of it and a dict"),
        ([TOKEN, {"topik": "x"}], "override 'topik' is unknown: did you mean 'topic'?"),
        ([TOKEN, {"environment": "sandbox"}], "override 'environment' is unknown"),
        ([TOKEN, {5: "x"}], "override 5 is unknown"),
    ],
)
def test_an_entry_of_a_list_is_a_token_or_a_pair_with_known_overrides(entry, reason):
    with pytest.raises(InvalidPush) as caught:
        apns_entry(entry)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"token": TOKEN, "topic": "a.b"}, "{'token': 'ababab…', 'topic': 'a.b'}"),
        ({"tokens": [TOKEN], "payload": SECRET}, "{'tokens': <1 devices>, 'payload': <payload>}"),
        ({"tokens": TOKEN}, "{'tokens': <tokens>}"),
        ({"device_token": TOKEN, "": SECRET}, "{'device_token': <device_token>, '': <>}"),
        ({"registration_ids": {"fid": TOKEN}}, "{'registration_ids': 'fid:ab…'}"),
        ({"chunk": 7, "_progress": SECRET}, "{'chunk': 7}"),
    ],
)
def test_only_what_is_neither_device_nor_payload_is_shown(arguments, text):
    assert masked(arguments) == text


def test_an_entry_nested_without_end_has_a_short_name():
    nested = []
    nested.append(nested)

    assert shown_token([[TOKEN]]) == TOKEN
    assert len(shown_token(nested)) < 100
    assert len(shown_token({"token": nested})) < 100
