"""The binary gateway's protocol, byte by byte; expected bytes typed from Apple's layout."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.apns.binary import Frame, GatewayProtocol, encode, sentinel
from pushtasks.net.protocol import GarbledAnswer

TOKEN = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
PAYLOAD = "7b22617073223a7b22616c657274223a226869227d7d"
REST = "03 0004 0000002a 04 0004 53724e00 05 0001 0a"
FRAME = Frame(bytes.fromhex(TOKEN), b'{"aps":{"alert":"hi"}}', 1_400_000_000)


@pytest.mark.parametrize(
    ("command", "written"),
    [
        (0, f"00 0020 {TOKEN} 0016 {PAYLOAD}"),
        (1, f"01 0000002a 53724e00 0020 {TOKEN} 0016 {PAYLOAD}"),
        (
            2,
            f"02 0000004e 01 0020 {TOKEN} 02 0016 {PAYLOAD}{REST}",
        ),
    ],
)
def test_a_notification_is_written_as_apple_lays_it_out(command, written):
    assert encode(FRAME, 42, command) == bytes.fromhex(written)


def test_a_sentinel_has_neither_token_nor_payload():
    written = "02 00000018 01 0000 02 0000 03 0004 ffffffff 04 0004 00000000 05 0001 0a"

    assert sentinel() == bytes.fromhex(written)
    assert sentinel(1) == bytes.fromhex("01 ffffffff 00000000 0000 0000")
    assert sentinel(0) is None


def test_a_frame_shows_neither_its_device_token_nor_its_payload():
    shown = f"{FRAME!r} {FRAME!s} {[FRAME]}"

    assert shown.count("<Frame 000102… 22 bytes>") == 3
    assert TOKEN not in shown
    assert "alert" not in shown


def protocol(count, *, limit=100):
    """Return a protocol that has sent "1", "2", … up to a count."""
    made = GatewayProtocol(lambda item, _: item.encode(), b"!", limit)
    for number in range(1, count + 1):
        assert made.send(str(number)) == (number, str(number).encode())
    return made


def answer(status, identifier):
    return bytes([8, status, *identifier.to_bytes(4)])


def test_what_precedes_a_refused_one_is_accepted_and_what_follows_is_lost():
    ending = protocol(5).receive(bytes.fromhex("08 08 00000003"))

    assert ending.accepted == ("1", "2")
    item, verdict = ending.rejected
    assert (item, verdict.status, verdict.reason, verdict.message_id) == (
        "3",
        8,
        "InvalidToken",
        "3",
    )
    assert (ending.lost, ending.unknown, ending.forgotten) == (("4", "5"), (), 0)


def test_a_shutdown_names_the_last_one_that_was_processed():
    ending = protocol(5).receive(bytes.fromhex("08 0a 00000003"))

    assert ending.rejected is None
    assert (ending.accepted, ending.lost) == (("1", "2", "3"), ("4", "5"))


@pytest.mark.parametrize(
    "confirmation",
    ["08 02 ffffffff", "08 02 00000000", "08 05 ffffffff", "08 ff ffffffff", "08 0a ffffffff"],
)
def test_a_refused_sentinel_confirms_all_before_it(confirmation):
    made = protocol(3)
    assert made.confirm() == b"!"

    assert made.receive(bytes.fromhex(confirmation)).accepted == ("1", "2", "3")


@pytest.mark.parametrize("answered", ["08 08 00000000", "08 0a 00000000", "08 05 00000009"])
def test_another_answer_than_the_sentinels_confirms_nothing(answered):
    made = protocol(3)
    made.confirm()

    assert made.receive(bytes.fromhex(answered)).unknown == ("1", "2", "3")


def test_a_refusal_while_a_sentinel_is_out_counts_as_any_other():
    made = protocol(3)
    made.confirm()
    ending = made.receive(bytes.fromhex("08 08 00000002"))

    assert (ending.accepted, ending.rejected[0], ending.lost) == (("1",), "2", ("3",))


def test_an_identifier_of_0_tells_nothing_unless_a_sentinel_was_sent():
    ending = protocol(3).receive(answer(2, 0))

    assert (ending.unknown, ending.accepted, ending.lost) == (("1", "2", "3"), (), ())


@pytest.mark.parametrize("identifier", [0, 4, 2**32 - 2, 2**32 - 1])
def test_an_identifier_that_was_never_given_tells_nothing(identifier):
    assert protocol(3).receive(answer(8, identifier)).unknown == ("1", "2", "3")


def test_a_record_that_was_too_short_says_how_many_are_lost_for_good():
    ending = protocol(9, limit=3).receive(answer(8, 2))

    assert ending.lost == ("7", "8", "9")
    assert ending.forgotten == 4  # 3, 4, 5 and 6: nobody knows any more what they were
    assert ending.rejected is None


def test_identifiers_are_never_0_nor_that_of_the_sentinel():
    made = protocol(0)
    made._forgotten = 2**32 - 4

    assert [made.send("x")[0] for _ in range(3)] == [2**32 - 3, 2**32 - 2, 1]
    ending = made.receive(answer(8, 1))
    assert ending.rejected[1].message_id == "1"
    assert len(ending.accepted) == 2


def test_a_status_that_apple_never_named_counts_as_unknown():
    _, verdict = protocol(1).receive(answer(77, 1)).rejected

    assert (verdict.status, verdict.reason) == (77, "Unknown")


def test_a_part_of_an_answer_is_none_and_is_shown():
    made = protocol(2)
    assert made.receive(bytes.fromhex("08 08 0000")) is None

    ending = made.end("closed")

    assert ending.unknown == ("1", "2")
    assert ending.reason == "closed after a part of an error, 08080000"


def test_without_an_answer_nothing_is_known():
    ending = protocol(2).end("reset")

    assert (ending.unknown, ending.reason, ending.maybe_taken) == (("1", "2"), "reset", True)


@given(st.sampled_from([0, 1, 2, 8, 10, 128, 255]), st.integers(0, 12), st.sets(st.integers(1, 5)))
def test_any_cut_of_an_answer_says_the_same(status, identifier, cuts):
    data = answer(status, identifier)
    parts = [data[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 6], strict=True)]
    made = protocol(9)

    endings = [made.receive(part) for part in parts]

    assert endings[:-1] == [None] * (len(parts) - 1)
    assert endings[-1] == protocol(9).receive(data)


@given(st.binary(min_size=1, max_size=9), st.integers(1, 12))
def test_what_follows_an_answer_changes_nothing_however_it_is_cut(rest, size):
    data = answer(8, 2) + rest
    made = protocol(3)

    parts = [data[n : n + size] for n in range(0, len(data), size)]
    ending = next(ending for part in parts if (ending := made.receive(part)))

    assert ending == protocol(3).receive(answer(8, 2))


@given(st.lists(st.binary(max_size=9), max_size=5))
def test_random_bytes_raise_nothing_but_that_they_are_garbled(parts):
    made = protocol(3)
    with suppress(GarbledAnswer):
        for part in parts:
            if made.receive(part):
                break


@given(st.integers(0, 30), st.integers(1, 10), st.integers(1, 31), st.sampled_from([8, 10]))
def test_each_item_in_the_record_is_in_one_place(count, limit, identifier, status):
    ending = protocol(count, limit=limit).receive(answer(status, identifier))

    rejected = [ending.rejected[0]] if ending.rejected else []
    found = [*ending.accepted, *rejected, *ending.lost, *ending.unknown]
    assert found == [str(n) for n in range(max(1, count - limit + 1), count + 1)]
    assert 0 <= ending.forgotten <= max(0, count - limit)
