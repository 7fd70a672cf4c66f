"""What of an answer is read the same way for every provider."""

from datetime import UTC, datetime

import pytest

from pushtasks.net.http import json_object, read_retry_after

NOW = datetime(2014, 5, 13, 16, 53, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Tue, 13 May 2014 16:54:20 GMT", 60.0),
        ("Tuesday, 13-May-14 16:54:20 GMT", 60.0),
        ("Tue, 13 May 2014 16:54:20 +0000", 60.0),
        ("9" * 400, 86_400.0),
        ("Tue, 13 May 2044 16:53:20 GMT", 86_400.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(value, seconds):
    assert read_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [None, "", "0", "-5", "1.5", "soon", "²", "Tue, 13 May 2014 16:53:20 GMT", "1 Jan", "5 5 5 5"],
)
def test_a_retry_after_that_is_over_or_unreadable_is_none(value):
    assert read_retry_after(value, NOW) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff{}", b"[" * 100_000])
def test_a_body_that_is_no_json_object_reads_as_an_empty_one(body):
    assert json_object(body) == {}
