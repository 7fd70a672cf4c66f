"""Frames typed by hand from Apple's layout, cut anywhere, and bytes that are none."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.emulator.gateway_frames import FRAME_LIMIT, Frame, FrameError, FrameReader

TOKEN = bytes(range(32))
PAYLOAD = b'{"aps":{"alert":"hi"}}'
TOKEN_HEX = "0020 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
PAYLOAD_HEX = "0016 7b22617073223a7b22616c657274223a226869227d7d"
SIMPLE = f"00 {TOKEN_HEX} {PAYLOAD_HEX}"
ENHANCED = f"01 0000002a 53724e00 {TOKEN_HEX} {PAYLOAD_HEX}"
FRAMED = f"""
    02 0000004e
    01 {TOKEN_HEX}
    02 {PAYLOAD_HEX}
    03 0004 0000002a
    04 0004 53724e00
    05 0001 0a
"""
SENTINEL = "02 00000018 01 0000 02 0000 03 0004 ffffffff 04 0004 00000000 05 0001 0a"
EXAMPLES = {
    SIMPLE: Frame(0, TOKEN, PAYLOAD),
    ENHANCED: Frame(1, TOKEN, PAYLOAD, 42, 1400000000),
    FRAMED: Frame(2, TOKEN, PAYLOAD, 42, 1400000000, 10),
    SENTINEL: Frame(2, b"", b"", 0xFFFFFFFF, 0, 10),
}


def frames(parts):
    """Return what a reader makes of these bytes; a FrameError as its identifier and words."""
    reader, read = FrameReader(), []
    for part in parts:
        reader.receive_data(part)
        try:
            while (frame := reader.next_frame()) is not None:
                read.append(frame)
        except FrameError as error:
            return [*read, (str(error), error.identifier)]
    return read


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_frame_says_what_it_said(example):
    data = bytes.fromhex(example)
    assert len(data) in {59, 67, 83, 29}
    assert frames([data]) == [EXAMPLES[example]]


def test_items_come_in_any_order_and_some_may_be_missing():
    other = f"02 0000003f 03 0004 0000002a 02 {PAYLOAD_HEX} 01 {TOKEN_HEX}"
    other = bytes.fromhex(other.replace("0000003f", "00000043"))
    assert frames([other]) == [Frame(2, TOKEN, PAYLOAD, 42)]


@given(
    st.lists(st.sampled_from([bytes.fromhex(each) for each in EXAMPLES]), max_size=4),
    st.binary(max_size=40),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_any_cut_of_any_bytes_gives_the_same(sound, rest, places):
    data = b"".join(sound) + rest
    whole = frames([data])
    assert whole[: len(sound)] == frames([b"".join(sound)])
    assert frames(cut(data, places)) == whole
    assert frames([bytes([byte]) for byte in data]) == whole


@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_our_own_error(data):
    frames([data])
    frames([b"\x02" + len(data).to_bytes(4) + data])
    frames([b"\x01" + data])


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.binary(max_size=8)).map(
            lambda item: bytes([item[0]]) + len(item[1]).to_bytes(2) + item[1]
        ),
        max_size=6,
    ),
    st.lists(st.integers(0, 10_000), max_size=6),
)
def test_any_items_are_one_notification_or_one_error(items, places):
    data = b"".join(items)
    whole = b"\x02" + len(data).to_bytes(4) + data
    (read,) = frames([whole])
    assert isinstance(read, Frame | tuple)
    assert frames(cut(whole, places)) == [read]


@pytest.mark.parametrize(
    ("data", "identifier"),
    [
        ("03", None),
        ("08 00 00000001", None),
        ("02 00000003 09 0000", 0),
        ("02 0000000a 03 0004 0000002a 06 0000", 42),
        ("02 0000000a 06 0000 03 0004 0000002a", 42),
        ("02 0000000e 03 0004 0000002a 03 0004 0000002b", 42),
        ("02 0000000b 03 0004 0000002a 05 0004 0a", 42),
        ("02 00000010 03 0004 0000002a 04 0004 00000000 05", 42),
        ("02 00000005 03 0002 0001", 0),
        ("02 ffffffff", 0),
    ],
)
def test_what_is_no_frame_names_its_identifier_if_it_can(data, identifier):
    ((problem, named),) = frames([bytes.fromhex(data) + b"\0" * 8])
    assert named == identifier
    assert problem


def test_nothing_is_read_after_an_error():
    reader = FrameReader()
    reader.receive_data(b"\xff")
    for _ in range(2):
        with pytest.raises(FrameError, match="there is no command 255"):
            reader.next_frame()
        reader.receive_data(bytes.fromhex(SIMPLE))


def test_the_longest_fields_are_still_read():
    items = [b"\x01\xff\xff" + b"t" * 65535, b"\x02\xff\xff" + b"p" * 65535]
    items.append(bytes.fromhex("03 0004 0000002a"))
    data = b"".join(items)
    assert len(data) <= FRAME_LIMIT
    (frame,) = frames([b"\x02" + len(data).to_bytes(4) + data])
    assert (len(frame.token), len(frame.payload), frame.identifier) == (65535, 65535, 42)
