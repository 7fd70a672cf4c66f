from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.fanout.chunks import SIZE_LIMIT, cut
from pushtasks.fanout.devices import device_check
from pushtasks.fanout.records import START, Record
from pushtasks.store.fanout_state import Spec

CHECK = device_check(Spec("apns", "default", "Hi"))


def records(items):
    return [Record(line, item, line * 10) for line, item in enumerate(items, 1)]


@given(st.lists(st.sampled_from(["abcd", "ef01", "bad", "", 7])), st.integers(1, 5))
def test_any_cut_keeps_every_device_its_order_and_its_line(items, limit):
    chunks = list(cut(records(items), CHECK, limit, START))

    entries = [entry for chunk in chunks for entry in chunk.entries]
    lines = [fault.line for chunk in chunks for fault in chunk.invalid]
    assert entries == [item for item in items if item in {"abcd", "ef01"}]
    assert lines == [n for n, item in enumerate(items, 1) if item not in {"abcd", "ef01"}]
    assert all(len(chunk.entries) <= limit and len(chunk.invalid) <= limit for chunk in chunks)
    assert all(chunk.error is None for chunk in chunks)


@given(st.lists(st.sampled_from(["abcd", "bad"])), st.integers(1, 5), st.integers(0, 10))
def test_from_the_end_of_any_chunk_the_others_follow_as_they_were(items, limit, number):
    chunks = list(cut(records(items), CHECK, limit, START))
    for place, chunk in enumerate(chunks, 1):
        rest = records(items)[chunk.position["line"] :]
        assert list(cut(rest, CHECK, limit, chunk.position)) == chunks[place:]


def test_a_source_that_raises_gives_what_was_read_and_says_at_which_line():
    def broken():
        yield from records(["ab", "cd", "ef"])
        raise OSError("disk on fire\nand more")

    first, last = cut(broken(), CHECK, 2, START)

    assert (first.entries, first.error) == (["ab", "cd"], None)
    assert (last.entries, last.error) == (["ef"], "line 4: OSError: disk on fire")
    assert last.position == {"line": 3, "place": 30}


def nested(depth):
    item = "ab"
    for _ in range(depth):
        item = {"token": item}
    return item


HOLDS_ITSELF = []
HOLDS_ITSELF.append(HOLDS_ITSELF)


@pytest.mark.parametrize(
    "item",
    [
        nested(500),
        HOLDS_ITSELF,
        ["ab", {1: "x"}],
        ["ab", {None: "x"}],
        ["ab", {"priority": 10**5000}],
        ["ab", {"identifier": 10**5000}],
    ],
    ids=["nested", "holds itself", "number as key", "None as key", "priority", "identifier"],
)
def test_whatever_an_item_is_it_takes_no_other_with_it(item):
    [chunk] = cut(records(["abcd", item, "ef01"]), CHECK, 10, START)

    assert (chunk.entries, chunk.lines, chunk.error) == (["abcd", "ef01"], [1, 3], None)
    assert [fault.line for fault in chunk.invalid] == [2]
    assert chunk.invalid[0].reason


def test_a_source_that_is_away_for_a_while_has_not_ended():
    def away():
        yield from records(["ab"])
        raise TimeoutError

    with pytest.raises(TimeoutError):
        list(cut(away(), CHECK, 10, START, (TimeoutError,)))


def test_a_source_that_raises_at_once_has_a_line_too():
    def broken():
        raise ValueError
        yield

    [only] = cut(broken(), CHECK, 2, START)

    assert (only.entries, only.error) == ([], "line 1: ValueError")


def test_large_payloads_make_small_chunks():
    item = ["abcd", {"payload": "x" * 2000}]

    chunks = list(cut(records([item] * 300), CHECK, 500, START))

    assert sum(len(chunk.entries) for chunk in chunks) == 300
    assert len(chunks) == 3
    assert all(chunk.size < SIZE_LIMIT + 5000 for chunk in chunks)


@pytest.mark.parametrize(
    ("item", "token"),
    [
        ("xyz", "xyz"),
        ("x" * 1000, "x" * 80),
        ({"device_token": "xyz"}, "xyz"),
        (["xyz", {}], "xyz"),
        (("apns", "xyz"), "xyz"),
        ({"nothing": 1}, ""),
        (7, ""),
    ],
)
def test_an_invalid_device_is_named_as_its_source_has_it(item, token):
    [chunk] = cut(records([item]), CHECK, 500, START)

    [fault] = chunk.invalid
    assert (fault.line, fault.token) == (1, token)


def test_records_that_never_end_are_cut_as_they_come():
    endless = chain.from_iterable(records(["ab"]) for _ in iter(int, 1))

    assert next(cut(endless, CHECK, 500, START)).entries == ["ab"] * 500


def test_lines_are_told_by_the_first_where_they_follow_one_by_one():
    chunks = [*cut(records(["ab", "cd", "x", "ef", "01"]), CHECK, 2, START)]

    assert [chunk.shown_lines for chunk in chunks] == [1, 4]
    [gap] = cut(records(["ab", "x", "ef"]), CHECK, 5, START)
    assert gap.shown_lines == [1, 3]
