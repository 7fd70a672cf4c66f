import pickle

from hypothesis import given
from hypothesis import strategies as st

from pushtasks.emulator.exchange import Answer
from pushtasks.emulator.received import PAYLOAD_LIMIT, TOKEN_LIMIT, Received


def note(received, body=b"{}"):
    received.note("apns", "ab", body, Answer(200))


@given(limit=st.integers(1, 5), count=st.integers(0, 12), since=st.integers(0, 15))
def test_the_ring_keeps_the_latest_and_counts_all(limit, count, since):
    received = Received(limit)
    for _ in range(count):
        note(received)
    assert received.count == count
    expected = [number for number in range(1, count + 1) if number > max(since, count - limit)]
    assert [entry["n"] for entry in received.since(since)] == expected


def test_clearing_begins_anew():
    received = Received()
    note(received)
    received.clear()
    assert (received.count, received.since(0)) == (0, [])
    note(received)
    assert received.since(0)[0]["n"] == 1


def test_a_huge_body_is_kept_in_part():
    received = Received()
    note(received, b"x" * 50_000)
    assert len(received.since(0)[0]["payload"]) == PAYLOAD_LIMIT


def test_neither_a_huge_token_nor_a_huge_answer_is_kept():
    received = Received()
    answer = Answer(400, (("x", "y"),), b"x" * 50_000, "INVALID_ARGUMENT")
    received.note("fcm", "x" * 50_000, b"{}", answer)
    assert len(received.since(0)[0]["token"]) == TOKEN_LIMIT
    assert received.since(0)[0]["answer"] == {"status": 400, "reason": "INVALID_ARGUMENT"}
    assert len(pickle.dumps(received)) < TOKEN_LIMIT + 1000
