import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.apns.payload import DEPTH_LIMIT, encode_payload, payload_dictionary
from pushtasks.errors import InvalidPush

TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda values: st.lists(values) | st.dictionaries(TEXT, values),
    max_leaves=15,
)


class Sound(StrEnum):
    BELL = "bell.caf"


class Level(IntEnum):
    HIGH = 3


def refusal(payload, limit=4096):
    with pytest.raises(InvalidPush) as caught:
        encode_payload(payload, limit)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_is_compact_utf_8_with_custom_keys_kept():
    payload = {"aps": {"alert": {"title": "Grüße", "body": "🎉"}, "badge": 1}, "acme": [1, None]}
    assert encode_payload(payload, 4096) == (
        '{"aps":{"alert":{"title":"Grüße","body":"🎉"},"badge":1},"acme":[1,null]}'.encode()
    )


def test_text_is_short_for_an_alert():
    assert encode_payload('Say "hi"', 4096) == rb'{"aps":{"alert":"Say \"hi\""}}'
    assert payload_dictionary("Hi") == {"aps": {"alert": "Hi"}}


@pytest.mark.parametrize(
    ("payload", "encoded"),
    [
        ({}, b"{}"),  # Wallet passes
        ({"mdm": "PUSH-MAGIC"}, b'{"mdm":"PUSH-MAGIC"}'),
        ({"aps": {"key-of-next-year": True}}, b'{"aps":{"key-of-next-year":true}}'),
        (
            {"aps": {"sound": Sound.BELL, "badge": Level.HIGH}},
            b'{"aps":{"sound":"bell.caf","badge":3}}',
        ),
        ({"a": (1, 2.5)}, b'{"a":[1,2.5]}'),
    ],
)
def test_what_json_and_apns_take_is_taken(payload, encoded):
    assert encode_payload(payload, 4096) == encoded


@given(st.dictionaries(TEXT.filter(lambda key: key != "aps"), JSON))
def test_any_json_object_survives(payload):
    assert json.loads(encode_payload(payload, 1_000_000)) == payload


@pytest.mark.parametrize("payload", [None, 7, b"{}", ["aps"], {"aps"}])
def test_neither_dict_nor_text_is_refused(payload):
    message = refusal(payload)
    assert message.startswith(f"payload is of type {type(payload).__name__}")
    assert '{"aps": {"alert": "Hi"}}' in message


@pytest.mark.parametrize("aps", [None, "Hi", ["alert"]])
def test_aps_that_is_no_dict_is_refused(aps):
    message = refusal({"aps": aps})
    assert message.startswith(f"payload.aps is of type {type(aps).__name__}")
    assert "custom keys stand beside it" in message


@pytest.mark.parametrize(
    ("payload", "beginning", "way_out"),
    [
        ({"a": {"b": [0, math.nan]}}, "payload.a.b[1] is nan", "a finite number"),
        ({"a": -math.inf}, "payload.a is -inf", "a finite number"),
        ({"when": datetime(2026, 1, 1, tzinfo=UTC)}, "payload.when is of type datetime", "text"),
        ({"a": [{"price": Decimal(1)}]}, "payload.a[0].price is of type Decimal", "a number"),
        ({"a": b"x"}, "payload.a is of type bytes", "make it text"),
        ({"a": {1, 2}}, "payload.a is of type set", "a list"),
        ({"a": {7: "x"}}, "payload.a has a key of type int", "must be text"),
        ({None: "x"}, "payload has a key of type NoneType", "must be text"),
        ({"a": "\ud83c"}, "payload.a holds half of a surrogate pair", "send the whole one"),
        ({"\udf89": 1}, "payload has a key with half of a surrogate", "Unicode text"),
        ({"k" * 100: {1}}, f"payload.{'k' * 30}… is of type set", "a list"),
        ({"a\nb": {1}}, r"payload.'a\nb' is of type set", "a list"),
    ],
)
def test_what_json_cannot_carry_is_refused_naming_its_place(payload, beginning, way_out):
    message = refusal(payload)
    assert message.startswith(beginning)
    assert way_out in message


def test_payload_that_holds_itself_is_refused():
    payload = {}
    payload["self"] = payload
    assert f"nested deeper than {DEPTH_LIMIT} levels" in refusal(payload)


def test_size_counts_bytes_not_characters():
    payload = {"a": "ü" * 10}
    assert len(encode_payload(payload, 28)) == 28
    message = refusal(payload, 27)
    assert "payload is 28 bytes of JSON and APNs takes 27" in message
    assert "shorten it" in message


def test_no_message_shows_what_the_payload_says():
    assert "secret" not in refusal({"a": "secret" * 1000})
    assert "secret" not in refusal({"a": b"secret"})
