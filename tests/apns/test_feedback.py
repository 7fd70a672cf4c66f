import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.apns.feedback import ExpiredToken, FeedbackProtocolError, FeedbackReader

TOKEN = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
RECORD = bytes.fromhex(
    "53724e00"  # 2014-05-13 16:53:20 UTC
    "0020"
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)
EXPIRED = ExpiredToken(TOKEN, datetime(2014, 5, 13, 16, 53, 20, tzinfo=UTC))

tokens = st.binary(min_size=1, max_size=100)
times = st.integers(0, 2**32 - 1)
lists = st.lists(st.tuples(times, tokens), max_size=20)


def encoded(records):
    return b"".join(struct.pack(">IH", when, len(token)) + token for when, token in records)


def read(pieces):
    """Return the records in pieces of a stream that then ends, and the error if there is one."""
    reader = FeedbackReader()
    records = [record for piece in pieces for record in reader.receive_data(piece)]
    reader.receive_eof()
    return records, reader.error


def cut(data, at):
    """Cut bytes at any of these places."""
    places = sorted(place % (len(data) + 1) for place in at)
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def test_a_record_tells_the_device_and_since_when_it_is_dead():
    assert read([RECORD]) == ([EXPIRED], None)


def test_an_empty_list_is_a_close_without_bytes():
    assert read([]) == ([], None)


@given(lists)
def test_every_record_is_read_in_order(records):
    assert read([encoded(records)]) == (
        [ExpiredToken(t.hex(), datetime.fromtimestamp(when, UTC)) for when, t in records],
        None,
    )


@given(lists, st.lists(st.integers(0)))
def test_it_does_not_matter_how_a_list_is_cut(records, at):
    data = encoded(records)

    assert read(cut(data, at)) == read([data])


@given(st.binary(max_size=400), st.lists(st.integers(0)))
def test_whatever_comes_and_however_cut_it_is_read_the_same_and_nothing_is_raised(data, at):
    records, error = read([data])

    again, same_error = read(cut(data, at))

    assert (again, str(same_error)) == (records, str(error))
    assert error is None or type(error) is FeedbackProtocolError
    assert (error is None) == (sum(6 + len(r.device_token) // 2 for r in records) == len(data))


@pytest.mark.parametrize("length", [0, 101, 0x4854])  # the last is "HT" of an HTTP server
def test_a_length_that_no_token_has_ends_the_list_and_what_preceded_it_stands(length):
    wrong = struct.pack(">IH", 1, length) + bytes(length)

    records, error = read([RECORD + wrong + RECORD])

    assert records == [EXPIRED]
    assert f"a device token of {length} bytes" in str(error)


@pytest.mark.parametrize("missing", [1, 32, 37])
def test_an_end_in_the_middle_of_a_record_is_said_and_what_preceded_it_stands(missing):
    records, error = read([RECORD + RECORD[:-missing]])

    assert records == [EXPIRED]
    assert f"closed {38 - missing} bytes into a record" in str(error)


def test_nothing_is_read_after_an_error():
    reader = FeedbackReader()
    reader.receive_data(bytes(6))

    assert reader.receive_data(RECORD) == []
    assert reader.error


def test_a_record_shows_the_beginning_of_its_token_only():
    assert repr(EXPIRED) == "<ExpiredToken 000102… since 2014-05-13 16:53>"
