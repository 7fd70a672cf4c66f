"""Entries as producers for gapless write them, and all that they may get wrong."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushtasks.adapters.relay.entries import LONGEST, Reader, arguments_of
from pushtasks.errors import InvalidPush
from pushtasks.sending.arguments import apns_entry, check_apns_many

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TOKEN = "ab" * 32
DATA = {"aps": {"alert": "Hi"}}
#: What gapless sends: command 1, with 256 bytes of payload.
ENHANCED = 1

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
entries = st.fixed_dictionaries(
    {
        "token": st.binary(min_size=1, max_size=40).map(bytes.hex),
        "data": st.fixed_dictionaries({"aps": st.fixed_dictionaries({"alert": texts})}),
    },
    optional={
        "identifier": st.integers() | texts,
        "expiry": st.integers(-10, 10**9) | st.floats(-10, 10**9),
        "_gapless_RETRYING": st.integers(1, 3),
    },
)


def read(entry, command=None):
    text = entry if isinstance(entry, str) else json.dumps(entry)
    return Reader(command).read(text, NOW)


def refusal(entry, command=None):
    with pytest.raises(InvalidPush) as caught:
        read(entry, command)
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message
    return message


def test_all_keys_are_read():
    ready = read({"token": TOKEN.upper(), "identifier": 42, "expiry": 60, "data": DATA})

    assert (ready.token, ready.identifier, ready.payload) == (TOKEN.upper(), 42, DATA)
    assert ready.expiration == (NOW + timedelta(seconds=60)).isoformat()


def test_what_is_left_out_has_the_documented_default():
    ready = read({"token": TOKEN, "data": DATA})

    assert ready.identifier == 0
    assert ready.expiration == (NOW + timedelta(hours=2)).isoformat()


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_an_entry_that_gapless_had_put_back_is_one_like_others(times):
    entry = {"token": TOKEN, "data": DATA, "_gapless_RETRYING": times}

    assert read(entry) == read({"token": TOKEN, "data": DATA})


@pytest.mark.parametrize("expiry", [0, -5, -0.5])
def test_what_ends_now_is_tried_once(expiry):
    assert read({"token": TOKEN, "data": DATA, "expiry": expiry}).expiration == 0


@pytest.mark.parametrize(
    ("written", "meant"), [(42, 42), (42.0, 42), (-1, -1), ("order 7", "order 7"), (2**40, 2**40)]
)
def test_identifiers_are_numbers_or_texts(written, meant):
    ready = read({"token": TOKEN, "data": DATA, "identifier": written})

    assert ready.identifier == meant
    assert type(ready.identifier) is type(meant)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("", "not JSON (Expecting value"),
        ("{nope", "not JSON ("),
        ('{"token": NaN}', "not JSON (NaN is no number"),
        ("[" * 50_000, "not JSON: nested too deeply"),
        ([], "a list in JSON: push an object with token and data"),
        ("null", "a NoneType in JSON"),
        ({"data": DATA}, "token is missing: it must be the device token"),
        ({"token": TOKEN}, "data is missing: it must be the payload"),
        ({"token": "xyz", "data": DATA}, "device token 'xyz' has characters that are no hexa"),
        ({"token": TOKEN[1:], "data": DATA}, "device token 'bababa…' has 63 digits"),
        ({"token": 7, "data": DATA}, "device token is of type int"),
        ({"token": TOKEN, "data": "Hi"}, "data is of type str: it must be an object"),
        ({"token": TOKEN, "data": None}, "data is of type NoneType"),
        ({"token": TOKEN, "data": {"aps": 1}}, "payload.aps is of type int"),
        ({"token": TOKEN, "data": {"a": "x" * 5000}}, "bytes of JSON and APNs takes 4096"),
        ({"token": TOKEN, "data": DATA, "expiry": "60"}, "expiry is of type str"),
        ({"token": TOKEN, "data": DATA, "expiry": True}, "expiry is of type bool"),
        ({"token": TOKEN, "data": DATA, "expiry": None}, "expiry is of type NoneType"),
        ({"token": TOKEN, "data": DATA, "expiry": 1e300}, "must be 0 (try once) or more, and end"),
        ({"token": TOKEN, "data": DATA, "identifier": [1]}, "identifier: a list of that form"),
        ({"token": TOKEN, "data": DATA, "identifier": 1.5}, "identifier: a float of that form"),
        ({"token": TOKEN, "data": {"a": "x" * LONGEST}}, f"longer than {LONGEST} bytes"),
        (json.dumps("é" * LONGEST, ensure_ascii=False), f"longer than {LONGEST} bytes"),
    ],
)
def test_what_can_never_be_sent_is_refused_with_the_reason(entry, words):
    assert words in refusal(entry)


def test_bytes_that_are_no_text_are_refused():
    text = json.dumps({"token": TOKEN, "data": {"aps": {"alert": "?"}}})

    assert "surrogate" in refusal(text.replace("?", b"\xff".decode(errors="surrogateescape")))


@pytest.mark.parametrize(("command", "limit"), [(0, 256), (1, 256), (2, 2048)])
def test_a_gateway_has_its_own_limit_of_payload(command, limit):
    frame = len(json.dumps({"a": ""}, separators=(",", ":")))
    largest = {"token": TOKEN, "data": {"a": "x" * (limit - frame)}}
    larger = {"token": TOKEN, "data": {"a": "x" * (limit - frame + 1)}}

    assert read(largest, command).payload == largest["data"]
    assert f"{limit + 1} bytes, over the {limit}" in refusal(larger, command)


def test_a_gateway_has_its_own_limit_of_device_tokens():
    assert "a gateway takes at most 100" in refusal({"token": "ab" * 101, "data": DATA}, ENHANCED)
    assert read({"token": "ab" * 101, "data": DATA}).token == "ab" * 101


def test_what_all_entries_share_is_written_once():
    one = {"token": TOKEN, "data": DATA, "identifier": 1}
    other = {"token": "cd", "data": {"aps": {"badge": 1}}, "expiry": 0}

    arguments = arguments_of([read(one), read({**one, "identifier": 2}), read(other)])

    assert arguments["payload"] == DATA
    assert arguments["tokens"] == [
        [TOKEN, {"identifier": 1}],
        [TOKEN, {"identifier": 2}],
        ["cd", {"identifier": 0, "payload": {"aps": {"badge": 1}}, "expiration": 0}],
    ]


def test_payloads_that_python_takes_for_equal_are_told_apart():
    payloads = [{"aps": {"badge": 1}}, {"aps": {"badge": True}}, {"aps": {"badge": 1.0}}]

    arguments = arguments_of([read({"token": TOKEN, "data": one}) for one in payloads])

    said = [own.get("payload", arguments["payload"]) for _, own in arguments["tokens"]]
    assert json.dumps(said) == json.dumps(payloads)


@settings(deadline=None, max_examples=60)
@given(st.lists(entries, min_size=1, max_size=5))
def test_arguments_say_of_each_entry_what_it_said(written):
    ready = [read(entry, ENHANCED) for entry in written]

    arguments = check_apns_many({**arguments_of(ready), "app": "default"}, now=NOW)

    shared = {"payload": arguments["payload"], "expiration": arguments_of(ready)["expiration"]}
    for one, entry in zip(ready, arguments["tokens"], strict=True):
        token, own = apns_entry(entry)
        said = {**shared, **own}
        assert (one.token, one.identifier, one.expiration) == (
            token,
            said["identifier"],
            said["expiration"],
        )
        assert json.dumps(one.payload) == json.dumps(said["payload"])


@settings(deadline=None, max_examples=60)
@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_whatever_is_pushed_is_read_or_refused(anything):
    text = anything if isinstance(anything, str) else json.dumps(anything)

    with pytest.raises(InvalidPush):
        read(text)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["token", "data", "identifier", "expiry"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_whatever_stands_under_the_keys_is_read_or_refused(entry):
    try:
        ready = read(entry, ENHANCED)
    except InvalidPush:
        return
    assert bytes.fromhex(ready.token)
