import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks import InvalidPush
from pushtasks.fanout.records import Unreadable, item_of, layout, read_item


def items(text, format_=None, *, is_mixed=False):
    """Return what the lines of a text hold."""
    lines = text.splitlines()
    found = layout(lines[0], format_, is_mixed=is_mixed)
    return [read_item(found.item, line) for line in lines[found.has_heading :]]


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("abcd\nef01", ["abcd", "ef01"]),
        ("token\nabcd", ["abcd"]),
        ('"token"\n"abcd"', ["abcd"]),
        ("abcd,7\nef01,8", ["abcd", "ef01"]),
        ("id;device_token;city\n1;abcd;Oslo\n2; ef01 ;", ["abcd", "ef01"]),
        ("ID\tRegistration_ID\n1\ta:b-c", ["a:b-c"]),
        ("name\ttoken\n\tabcd\nBo\tef01", ["abcd", "ef01"]),
        ("\ttoken\n0\tabcd", ["abcd"]),
        ("\tabcd\t\nef01\t", ["abcd", "ef01"]),
        ('id,token\n"1,5","abcd"', ["abcd"]),
        ("id,token\n1", [""]),
        ('"abcd"\n["ef01", {"priority": 5}]', ['"abcd"', '["ef01", {"priority": 5}]']),
        ('"name, first","token"\n"Li, Bo",ab', ["ab"]),
        ('{"token": "ab"}\n"cd"\n["ef", {}]', [{"token": "ab"}, "cd", ["ef", {}]]),
    ],
)
def test_a_text_is_read_as_what_its_first_line_looks_like(text, held):
    format_ = "lines" if text.startswith('"abcd"') else None

    assert items(text, format_) == held


def test_columns_with_the_names_of_overrides_belong_to_their_device():
    text = (
        "token,priority,expiration,payload,plan\n"
        "ab,5,60,Hello,gold\n"
        'cd,,2030-01-01T00:00:00Z,"{""aps"": {""badge"": 1}}",\n'
        "ef,high,,,"
    )

    assert items(text) == [
        {"token": "ab", "priority": 5, "expiration": 60.0, "payload": "Hello"},
        {"token": "cd", "expiration": "2030-01-01T00:00:00Z", "payload": {"aps": {"badge": 1}}},
        {"token": "ef", "priority": "high"},
    ]


@pytest.mark.parametrize(
    "text", ["apns,abcd\ngcm,xyz", "city,provider,token\nOslo,apns,abcd\nRoma,gcm,xyz"]
)
def test_mixed_devices_name_their_provider(text):
    assert items(text, is_mixed=True) == [
        {"provider": "apns", "token": "abcd"},
        {"provider": "gcm", "token": "xyz"},
    ]


def test_a_line_that_cannot_be_read_says_why_and_the_next_is_read():
    [broken, good, deep] = items('{"token":\n{"token": "ab"}\n' + "[" * 100_000)

    assert isinstance(broken, Unreadable)
    assert broken.startswith("not JSON (Expecting value")
    assert good == {"token": "ab"}
    assert deep.startswith("not JSON (nested too deeply)")


def test_a_quote_that_is_never_closed_spoils_its_own_line_only():
    assert items('token,city\nab,"Oslo\ncd,Roma') == ["ab", "cd"]


def test_a_member_of_a_key_is_a_token_or_json():
    assert item_of('["ab", {}]') == ["ab", {}]
    assert item_of("ab") == "ab"
    with pytest.raises(InvalidPush, match="not JSON"):
        item_of("{")


@given(st.lists(st.dictionaries(st.sampled_from(["token", "topic"]), st.text(), min_size=1)))
def test_json_lines_come_back_as_they_were(devices):
    text = [json.dumps(device) for device in devices]
    found = layout(text[0] if text else "", "jsonl", is_mixed=False)

    assert [found.item(line) for line in text] == devices


@given(st.text(min_size=1))
def test_no_line_can_break_the_reader(line):
    for format_ in (None, "csv", "jsonl", "lines"):
        for is_mixed in (False, True):
            found = layout(line, format_, is_mixed=is_mixed)
            read_item(found.item, line)
