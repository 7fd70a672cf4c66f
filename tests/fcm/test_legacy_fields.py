import json
from datetime import UTC, datetime

import pytest

from pushtasks.errors import InvalidPush
from pushtasks.fcm import legacy_fields
from pushtasks.fcm.message import message

NOW = datetime.fromtimestamp(1_769_860_800, UTC)


def body(payload):
    return json.loads(message(payload, now=NOW).body)


@pytest.mark.parametrize(
    ("legacy", "modern"),
    [
        (
            {"collapse_key": "score"},
            {
                "android": {"collapse_key": "score"},
                "apns": {"headers": {"apns-collapse-id": "score"}},
                "webpush": {"headers": {"Topic": "score"}},
            },
        ),
        (
            {"time_to_live": 60},
            {
                "android": {"ttl": "60s"},
                "apns": {"headers": {"apns-expiration": "1769860860"}},
                "webpush": {"headers": {"TTL": "60"}},
            },
        ),
        (
            {"time_to_live": 0},
            {
                "android": {"ttl": "0s"},
                "apns": {"headers": {"apns-expiration": "0"}},
                "webpush": {"headers": {"TTL": "0"}},
            },
        ),
        (
            {"priority": "high"},
            {
                "android": {"priority": "HIGH"},
                "apns": {"headers": {"apns-priority": "10"}},
                "webpush": {"headers": {"Urgency": "high"}},
            },
        ),
        (
            {"priority": "normal"},
            {
                "android": {"priority": "NORMAL"},
                "apns": {"headers": {"apns-priority": "5"}},
                "webpush": {"headers": {"Urgency": "normal"}},
            },
        ),
        ({"delay_while_idle": True}, {}),
        (
            {"restricted_package_name": "com.example"},
            {"android": {"restricted_package_name": "com.example"}},
        ),
        ({"dry_run": True}, {}),
        ({"data": {"a": "b"}}, {"data": {"a": "b"}}),
        (
            {"notification": {"title": "T", "body": "B"}},
            {"notification": {"title": "T", "body": "B"}},
        ),
        *(
            ({"notification": {name: value}}, {"android": {"notification": {name: value}}})
            for name, value in [("icon", "i"), ("color", "#aabbcc"), ("tag", "t")]
        ),
        (
            {"notification": {"sound": "default"}},
            {
                "android": {"notification": {"sound": "default"}},
                "apns": {"payload": {"aps": {"sound": "default"}}},
            },
        ),
        (
            {"notification": {"click_action": "OPEN"}},
            {
                "android": {"notification": {"click_action": "OPEN"}},
                "apns": {"payload": {"aps": {"category": "OPEN"}}},
            },
        ),
        (
            {"notification": {"android_channel_id": "c"}},
            {"android": {"notification": {"channel_id": "c"}}},
        ),
        ({"notification": {"badge": 3}}, {"apns": {"payload": {"aps": {"badge": 3}}}}),
        ({"notification": {"badge": "3"}}, {"apns": {"payload": {"aps": {"badge": 3}}}}),
        ({"content_available": True}, {"apns": {"payload": {"aps": {"content-available": 1}}}}),
        ({"content_available": False}, {}),
        ({"mutable_content": True}, {"apns": {"payload": {"aps": {"mutable-content": 1}}}}),
        ({"mutable_content": False}, {}),
        *(
            (
                {"notification": {f"{part}_loc_key": "K", f"{part}_loc_args": args}},
                {
                    "android": {
                        "notification": {f"{part}_loc_key": "K", f"{part}_loc_args": ["1", "2"]}
                    },
                    "apns": {
                        "payload": {
                            "aps": {"alert": {f"{apple}-key": "K", f"{apple}-args": ["1", "2"]}}
                        }
                    },
                },
            )
            for part, apple in [("body", "loc"), ("title", "title-loc")]
            for args in [["1", "2"], '["1", "2"]']
        ),
    ],
)
def test_a_legacy_field_goes_where_v1_has_it(legacy, modern):
    assert body(legacy) == modern


def test_every_legacy_field_is_translated_together():
    assert body(
        {
            "collapse_key": "score",
            "time_to_live": 3600,
            "priority": "high",
            "content_available": True,
            "data": {"n": 1},
            "notification": {"title": "T", "badge": 1, "sound": "default", "icon": "i"},
        }
    ) == {
        "notification": {"title": "T"},
        "data": {"n": "1"},
        "android": {
            "collapse_key": "score",
            "ttl": "3600s",
            "priority": "HIGH",
            "notification": {"sound": "default", "icon": "i"},
        },
        "apns": {
            "headers": {
                "apns-collapse-id": "score",
                "apns-expiration": "1769864400",
                "apns-priority": "10",
            },
            "payload": {"aps": {"badge": 1, "sound": "default", "content-available": 1}},
        },
        "webpush": {"headers": {"Topic": "score", "TTL": "3600", "Urgency": "high"}},
    }


def test_an_alert_for_apple_is_given_whole():
    translated = body({"notification": {"title": "T", "body": "B", "body_loc_key": "K"}})
    assert translated["apns"]["payload"]["aps"]["alert"] == {
        "title": "T",
        "body": "B",
        "loc-key": "K",
    }


@pytest.mark.parametrize(
    ("value", "string"),
    [
        ("text", "text"),
        (5, "5"),
        (2.5, "2.5"),
        (True, "true"),
        (None, "null"),
        ([1, "ü"], '[1,"ü"]'),
        ({"deep": {"x": [None]}}, '{"deep":{"x":[null]}}'),
    ],
)
def test_values_of_data_are_made_strings(value, string):
    assert body({"data": {"key": value}}) == {"data": {"key": string}}


def test_a_collapse_key_that_apple_or_browsers_refuse_is_sent_to_them_as_a_digest():
    # The SHA-256 of 65 times "k", by sha256sum.
    digest = "f39cdc2584758c99cf81c1f41d2572f54e17066afffc9d187aeafe5f7cbe2122"
    long = body({"collapse_key": "k" * 65})
    assert long["android"]["collapse_key"] == "k" * 65
    assert long["apns"]["headers"]["apns-collapse-id"] == digest
    assert long["webpush"]["headers"]["Topic"] == digest[:32]
    spaced = body({"collapse_key": "two words"})
    assert spaced["apns"]["headers"]["apns-collapse-id"] == "two words"
    assert len(spaced["webpush"]["headers"]["Topic"]) == 32
    assert body({"collapse_key": "ü"})["apns"]["headers"]["apns-collapse-id"].isascii()


def test_an_empty_collapse_key_collapses_nothing():
    assert body({"collapse_key": ""}) == {}


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"time_to_live": -1}, "time_to_live: -1 is no whole number from 0 to 2419200"),
        ({"time_to_live": 2_419_201}, "2419201"),
        ({"time_to_live": "60"}, "'60'"),
        ({"time_to_live": 1.5}, "1.5"),
        ({"time_to_live": True}, "True"),
        ({"priority": "urgent"}, "NORMAL, HIGH"),
        ({"content_available": 1}, "content_available: 1"),
        ({"notification": {"badge": "many"}}, "notification.badge: 'many'"),
        ({"notification": {"color": "red"}}, "notification.color: 'red'"),
        ({"notification": {"body_loc_args": "x"}}, "notification.body_loc_args: 'x'"),
        ({"notification": {"body_loc_args": "[1]"}}, "notification.body_loc_args[0]: 1"),
        ({"notification": {"soud": "x"}}, "did you mean 'sound'"),
        ({"time_to_liv": 1}, "did you mean 'time_to_live'"),
        ({"data": {"a": b"bytes"}}, "data.a"),
        ({"data": {"from": "x"}}, "'from'"),
    ],
)
def test_a_wrong_legacy_field_is_refused_by_its_own_name(payload, named):
    with pytest.raises(InvalidPush) as caught:
        message(payload, now=NOW)
    assert named in str(caught.value)


@pytest.mark.parametrize("name", sorted(legacy_fields.MOVED))
def test_a_legacy_field_beside_v1_fields_is_refused_by_both_names(name):
    outer, _, inner = name.partition(".")
    payload = {"webpush": {}, outer: {inner: "x"} if inner else True}
    with pytest.raises(InvalidPush) as caught:
        message(payload, now=NOW)
    assert str(caught.value).startswith(f"payload {name}:")
    assert "'webpush'" in str(caught.value)
    assert legacy_fields.MOVED[name] in str(caught.value)


def test_no_legacy_field_is_forgotten_in_the_hint_where_v1_has_it():
    top = {name for name in legacy_fields.MOVED if "." not in name}
    assert top == set(legacy_fields.FIELDS) - {"data", "notification"}
    assert set(legacy_fields.NOTIFICATION_PLACES) == set(legacy_fields.NOTIFICATION)
