import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.errors import InvalidPush
from pushtasks.fcm import fields
from pushtasks.fcm.message import Target, check_size, encode, message, target
from pushtasks.wire import fcm as wire

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TOKEN = "dQw4w9WgXcQ:APA91b-secret"


def body(payload):
    return json.loads(message(payload, now=NOW).body)


def refusal(payload):
    with pytest.raises(InvalidPush) as caught:
        message(payload, now=NOW)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TOKEN, Target("token", TOKEN)),
        ("/topics/news", Target("topic", "news")),
        ({"token": TOKEN}, Target("token", TOKEN)),
        ({"topic": "news"}, Target("topic", "news")),
        ({"topic": "/topics/news"}, Target("topic", "news")),
        ({"topic": "a-Z_0.~%"}, Target("topic", "a-Z_0.~%")),
        ({"fid": "cXyz"}, Target("fid", "cXyz")),
        ({"notification_key": "APA91group"}, Target("token", "APA91group")),
        (
            {"condition": "'a' in topics && !('b' in topics)"},
            Target("condition", "'a' in topics && !('b' in topics)"),
        ),
    ],
)
def test_a_target_is_read_from_every_form(value, expected):
    assert target(value) == expected


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("", "at least one"),
        ("abcdefghij\n", "strip white space"),
        ("abc def", "strip white space"),
        ("tökén", "ASCII"),
        (None, "NoneType"),
        (5, "int"),
        ({}, "notification_key"),
        ({"tokn": TOKEN}, "'tokn'"),
        ({"token": 5}, "text as its value"),
        ({"token": TOKEN, "topic": "news"}, "one of the keys"),
        ({"topic": "a b"}, "'a b'"),
        ("/topics/", "'/topics/'"),
        ({"condition": "news"}, "in topics"),
        ({"condition": " || ".join(["'a' in topics"] * 6)}, "1 to 5 topics"),
    ],
)
def test_a_target_that_google_refuses_is_refused(value, named):
    with pytest.raises(InvalidPush) as caught:
        target(value)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_neither_a_refusal_nor_a_repr_shows_a_registration_id():
    with pytest.raises(InvalidPush) as caught:
        target(TOKEN + " ")
    with pytest.raises(InvalidPush) as caught_in_dict:
        target({"token": TOKEN, "fid": TOKEN})
    for shown in (str(caught.value), str(caught_in_dict.value), repr(target(TOKEN))):
        assert "secret" not in shown
    assert repr(target({"topic": "news"})) == "<Target topic news>"


# Encoding -------------------------------------------------------------------------------------


def test_a_request_body_is_the_message_with_its_target_spliced_in():
    hello = message({"notification": {"title": "Hi"}}, now=NOW)
    assert hello.body == b'{"notification":{"title":"Hi"}}'
    assert encode(hello, target(TOKEN)) == (
        b'{"message":{"token":"dQw4w9WgXcQ:APA91b-secret","notification":{"title":"Hi"}}}'
    )
    assert encode(hello, target({"fid": "f"}), validate_only=True) == (
        b'{"message":{"fid":"f","notification":{"title":"Hi"}},"validate_only":true}'
    )


def test_an_empty_message_is_its_target_alone():
    assert encode(message({}, now=NOW), target({"topic": "wake"})) == (
        b'{"message":{"topic":"wake"}}'
    )


@given(
    st.sampled_from(sorted(wire.TARGETS)),
    st.text(),
    st.dictionaries(st.text().map("x{}".format), st.text(), max_size=3),
    st.booleans(),
)
def test_any_target_and_data_come_out_of_the_json_as_they_went_in(kind, value, data, validate):
    made = message({"data": data}, now=NOW)
    decoded = json.loads(encode(made, Target(kind, value), validate_only=validate))
    assert decoded == {"message": {kind: value, "data": data}} | (
        {"validate_only": True} if validate else {}
    )


def test_text_goes_out_as_utf_8():
    assert message("Grüße 🎉", now=NOW).body == '{"notification":{"body":"Grüße 🎉"}}'.encode()


def test_dry_run_in_a_legacy_payload_asks_for_validation_only():
    made = message({"data": {"a": "b"}, "dry_run": True}, now=NOW)
    assert json.loads(encode(made, target(TOKEN)))["validate_only"] is True


# Payloads -------------------------------------------------------------------------------------


def test_a_string_is_short_for_the_body_of_a_notification():
    assert body("Hello") == {"notification": {"body": "Hello"}}


def test_the_tables_of_fields_are_the_ones_that_google_documents():
    assert set(fields.MESSAGE) == wire.MESSAGE_FIELDS
    assert set(fields.NOTIFICATION) == wire.NOTIFICATION_FIELDS
    assert set(fields.ANDROID) == wire.ANDROID_FIELDS
    assert set(fields.ANDROID_NOTIFICATION) == wire.ANDROID_NOTIFICATION_FIELDS
    assert set(fields.APNS) == wire.APNS_FIELDS
    assert set(fields.WEBPUSH) == wire.WEBPUSH_FIELDS


FULL = {
    "data": {"story": "1"},
    "notification": {"title": "T", "body": "B", "image": "https://example.com/i.png"},
    "android": {
        "collapse_key": "k",
        "priority": "high",
        "ttl": "3.5s",
        "restricted_package_name": "com.example",
        "data": {"a": "b"},
        "notification": {
            "title": "T",
            "body": "B",
            "icon": "i",
            "color": "#a1B2c3",
            "sound": "default",
            "tag": "t",
            "click_action": "OPEN",
            "body_loc_key": "k",
            "body_loc_args": ["1", "2"],
            "title_loc_key": "k",
            "title_loc_args": ["1"],
            "channel_id": "c",
            "ticker": "t",
            "sticky": True,
            "event_time": "2026-01-31T12:00:00.123456789Z",
            "local_only": False,
            "notification_priority": "PRIORITY_MAX",
            "default_sound": True,
            "default_vibrate_timings": False,
            "default_light_settings": True,
            "vibrate_timings": ["0s", "0.25s"],
            "visibility": "SECRET",
            "notification_count": 3,
            "light_settings": {
                "color": {"red": 1.0, "green": 0, "blue": 0, "alpha": 1},
                "light_on_duration": "1s",
                "light_off_duration": "0.5s",
            },
            "image": "https://example.com/i.png",
            "proxy": "IF_PRIORITY_LOWERED",
        },
        "fcm_options": {"analytics_label": "spring_2026"},
        "direct_boot_ok": True,
        "bandwidth_constrained_ok": True,
        "restricted_satellite_ok": False,
    },
    "android_v2": {"remote_notification": {"any": ["thing", 1, None]}},
    "apns": {
        "headers": {"apns-priority": "10"},
        "payload": {"aps": {"alert": "A", "badge": 1}, "custom": {"deep": [1, 2.5, None]}},
        "fcm_options": {"analytics_label": "l", "image": "https://example.com/i.png"},
        "live_activity_token": "abc",
    },
    "webpush": {
        "headers": {"TTL": "60"},
        "data": {"a": "b"},
        "notification": {"title": "T", "actions": [{"action": "a"}], "newField": {"x": 1}},
        "fcm_options": {"link": "https://example.com", "analytics_label": "l"},
    },
    "fcm_options": {"analytics_label": "l"},
}


def test_every_v1_field_passes_unchanged():
    assert body(FULL) == FULL


def test_camel_case_is_as_good_as_snake_case():
    given_fields = {
        "android": {"collapseKey": "k", "notification": {"channelId": "c", "titleLocArgs": ["1"]}},
        "fcmOptions": {"analyticsLabel": "l"},
    }
    assert body(given_fields) == {
        "android": {
            "collapse_key": "k",
            "notification": {"channel_id": "c", "title_loc_args": ["1"]},
        },
        "fcm_options": {"analytics_label": "l"},
    }


def test_none_is_the_same_as_a_field_left_out():
    assert body({"android": None, "notification": {"title": "T", "image": None}}) == {
        "notification": {"title": "T"}
    }


def test_enums_in_lower_case_are_put_right():
    given_fields = {"android": {"notification": {"visibility": "private", "proxy": "deny"}}}
    assert body(given_fields) == {
        "android": {"notification": {"visibility": "PRIVATE", "proxy": "DENY"}}
    }


@pytest.mark.parametrize(
    ("payload", "path", "named"),
    [
        (None, "payload:", "null"),
        (["x"], "payload:", "list"),
        ({1: "x"}, "payload:", "key 1"),
        ({"notifcation": {}}, "payload:", "did you mean 'notification'"),
        ({"zzz": {}}, "payload:", "there are android,"),
        ({"notification": "Hi"}, "notification:", "give an object"),
        ({"notification": {"title": 5}}, "notification.title:", "give text"),
        ({"notification": {"titel": "x"}}, "notification:", "did you mean 'title'"),
        ({"notification": {"title": "\ud800"}}, "notification.title:", "surrogate"),
        ({"android": {"tttl": "5s"}}, "android:", "did you mean 'ttl'"),
        ({"android": {"ttl": 60}}, "android.ttl:", "'3.5s'"),
        ({"android": {"ttl": "60"}}, "android.ttl:", "'3.5s'"),
        ({"android": {"ttl": "-1s"}}, "android.ttl:", "'3.5s'"),
        ({"android": {"ttl": "2419201s"}}, "android.ttl:", "four weeks"),
        ({"android": {"priority": "urgent"}}, "android.priority:", "NORMAL"),
        ({"android": {"direct_boot_ok": "yes"}}, "android.direct_boot_ok:", "true or false"),
        ({"android": {"collapse_key": "a", "collapseKey": "b"}}, "android:", "twice"),
        ({"android": {"notification": {"color": "red"}}}, "notification.color:", "#rrggbb"),
        ({"android": {"notification": {"visibility": 1}}}, "visibility:", "PRIVATE"),
        ({"android": {"notification": {"proxy": "NO"}}}, "proxy:", "ALLOW, DENY"),
        ({"android": {"notification": {"notification_count": -1}}}, "count:", "whole number"),
        ({"android": {"notification": {"notification_count": True}}}, "count:", "whole number"),
        ({"android": {"notification": {"event_time": "today"}}}, "event_time:", "RFC 3339"),
        ({"android": {"notification": {"body_loc_args": "x"}}}, "body_loc_args:", "a list"),
        ({"android": {"notification": {"body_loc_args": ["x", 1]}}}, "body_loc_args[1]:", "text"),
        ({"android": {"notification": {"vibrate_timings": [1]}}}, "vibrate_timings[0]:", "'3.5s'"),
        ({"android": {"data": {"n": 1}}}, "android.data.n:", "give text"),
        ({"android": {}, "data": {"n": 1}}, "data.n:", "give text"),
        ({"apns": {"headers": {"apns-priority": 5}}}, "headers.apns-priority:", "give text"),
        ({"apns": {"payload": {"aps": {"x": {1}}}}}, "apns.payload.aps.x:", "JSON"),
        ({"apns": {"payload": {"big": "x" * 4096}}}, "apns.payload:", "4096"),
        ({"webpush": {"fcm_options": {"link": "http://x"}}}, "fcm_options.link:", "https://"),
        ({"webpush": {"notification": {"x": float("nan")}}}, "notification.x:", "finite"),
        ({"webpush": {"notification": {"x": 10**5000}}}, "notification.x:", "finite"),
        ({"fcm_options": {"analytics_label": "a b"}}, "analytics_label:", "1 to 50"),
        ({"fcm_options": {"analytics_label": "x" * 51}}, "analytics_label:", "1 to 50"),
        ({"data": {"k\n": {1}}}, "data.'k\\n':", "JSON"),
    ],
)
def test_a_wrong_field_is_refused_by_its_path_with_the_way_out(payload, path, named):
    said = refusal(payload)
    assert said.startswith("payload")
    assert path in said
    assert named in said


@pytest.mark.parametrize(
    "key", ["from", "message_type", "google.sent", "gcm", "gcm.notification.x"]
)
@pytest.mark.parametrize("where", ["data", "android", "webpush"])
def test_keys_of_data_that_google_keeps_for_itself_are_refused(key, where):
    payload = {"data": {key: "x"}}
    said = refusal(payload if where == "data" else {where: payload})
    assert repr(key) in said
    assert "rename" in said


@pytest.mark.parametrize(
    ("key", "way_out"),
    [
        ("to", "as registration_ids"),
        ("token", "as registration_ids"),
        ("registration_id", "as registration_ids"),
        ("registration_ids", "argument of that name"),
        ("topic", 'as registration_ids, as {"topic": …}'),
        ("condition", 'as registration_ids, as {"condition": …}'),
        ("fid", 'as registration_ids, as {"fid": …}'),
        ("notification_key", 'as registration_ids, as {"notification_key": …}'),
    ],
)
def test_a_target_in_the_payload_is_refused_with_the_way_out(key, way_out):
    said = refusal({"data": {}, key: "x"})
    assert said.startswith(f"payload {key}:")
    assert said.endswith(way_out)


@pytest.mark.parametrize(
    ("key", "way_out"), [("message", "what is inside"), ("validate_only", "dry_run")]
)
def test_the_envelope_of_a_request_is_refused_with_the_way_out(key, way_out):
    assert way_out in refusal({key: {}})


def test_what_contains_itself_is_refused():
    endless = {}
    endless["again"] = endless
    assert "100 deep" in refusal({"webpush": {"notification": endless}})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=10,
    ),
    st.sampled_from([*sorted(wire.MESSAGE_FIELDS), "time_to_live", "collapse_key", None]),
)
def test_any_payload_is_either_json_or_refused_in_one_line(value, key):
    refused = None
    try:
        made = message(value if key is None else {key: value}, now=NOW)
    except InvalidPush as error:
        refused = str(error)
    assert refused.isprintable() if refused else isinstance(json.loads(made.body), dict)


# Sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "limit"), [("token", 4096), ("fid", 4096), ("topic", 2048), ("condition", 2048)]
)
def test_the_size_limit_is_that_of_the_target(kind, limit):
    largest = message({"data": {"key": "ü" * (limit // 2 - 2) + "x"}}, now=NOW)
    check_size(largest, Target(kind, "x"))
    with pytest.raises(InvalidPush, match=f"{limit + 1} bytes .* {limit} of a {kind}"):
        check_size(message({"data": {"key": "x" * (limit - 2)}}, now=NOW), Target(kind, "x"))


@pytest.mark.parametrize(
    "payload",
    [
        {"notification": {"title": "x" * 5000}},
        {"android": {"data": {"a": "x" * 5000}}},
        {"android": {"notification": {"body_loc_args": ["x" * 5000]}}},
        {"notification": {"body": "x" * 2500}, "data": {"a": "x" * 2500}},
    ],
)
def test_the_size_counts_what_an_android_device_is_given(payload):
    with pytest.raises(InvalidPush, match="over the 4096"):
        check_size(message(payload, now=NOW), target(TOKEN))


def test_data_for_android_replaces_the_common_data_in_the_size():
    payload = {"data": {"a": "x" * 3000}, "android": {"data": {"a": "x" * 3000}}}
    check_size(message(payload, now=NOW), target(TOKEN))
