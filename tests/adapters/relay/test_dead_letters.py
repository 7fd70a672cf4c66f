"""Dead letters give back what they were made of."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushtasks.adapters.relay.dead_letters import LONGEST, Broken, entry_of, write_letter

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@settings(deadline=None)
@given(st.binary())
def test_an_entry_survives_whatever_its_bytes_are(raw):
    letter = write_letter(Broken(raw.decode(errors="surrogateescape"), "why"), NOW)

    letter = letter.encode().decode()  # as it goes to Redis and comes back

    assert entry_of(letter).encode(errors="surrogateescape") == raw


def test_a_letter_says_why_and_when():
    letter = json.loads(write_letter(Broken("{nope", "not JSON"), NOW))

    assert letter == {"entry": "{nope", "reason": "not JSON", "at": "2026-05-01T12:00:00+00:00"}


def test_of_a_long_entry_the_beginning_is_kept_and_it_cannot_come_back():
    letter = write_letter(Broken("x" * (LONGEST + 1), "too long"), NOW)

    assert json.loads(letter)["cut"]
    assert json.loads(letter)["entry"] == "x" * LONGEST
    assert entry_of(letter) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"entry": 7}', "null", "[" * 50_000])
def test_what_is_no_letter_has_no_entry(text):
    assert entry_of(text) is None
