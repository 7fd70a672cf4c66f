"""An entry is always in one place of Redis, whatever happens to relays."""

import threading
import time
from datetime import datetime

import pytest

from pushtasks.adapters.relay import dead_letters, taking
from pushtasks.adapters.relay.dead_letters import Broken, write_letter
from pushtasks.adapters.relay.entries import LONGEST
from pushtasks.adapters.relay.taking import EntryList
from pushtasks.errors import InvalidSettings
from pushtasks.store import StoreUnavailable

KEY = "push_queue"
DEAD = f"{KEY}:pushtasks:dead"
NOW = datetime.fromisoformat("2026-05-01T12:00:00+00:00")


def push(client, *entries):
    client.rpush(KEY, *entries)


def everything(client):
    """Return all entries that are anywhere, dead letters aside."""
    keys = [
        key for key in client.scan_iter() if key.decode() != DEAD and client.type(key) == b"list"
    ]
    return sorted(entry.decode() for key in keys for entry in client.lrange(key, 0, -1))


def wait_for_the_end_of(lease):
    time.sleep(lease + 0.05)  # Redis' own clock tells, and tells nobody


def test_entries_come_in_the_order_in_which_they_were_pushed(client, make_list):
    push(client, "a", "b", "c")
    entries = make_list()

    assert entries.take(2) == ["a", "b"]
    assert client.lrange(KEY, 0, -1) == [b"c"]


def test_what_was_taken_is_returned_again_until_it_is_let_go(client, make_list):
    push(client, "a", "b", "c")
    entries = make_list()
    entries.take(2)

    assert entries.take(2) == ["a", "b"]
    assert entries.settle(2, []) == (True, 0)
    assert entries.take(2) == ["c"]


def test_a_batch_is_filled_up(client, make_list):
    push(client, "a")
    entries = make_list()
    entries.take(3)
    push(client, "b", "c", "d")

    assert entries.take(3) == ["a", "b", "c"]


def test_nothing_stays_behind_in_redis_but_dead_letters(client, make_list):
    push(client, "a", "b")
    entries = make_list()
    entries.take(2)
    entries.settle(2, ["letter"])
    entries.leave()

    assert client.keys() == [DEAD.encode()]
    assert client.lrange(DEAD, 0, -1) == [b"letter"]


def test_a_relay_that_ends_puts_back_what_it_holds_in_order(client, make_list):
    push(client, "a", "b", "c", "d")
    entries = make_list()
    entries.take(3)

    assert entries.leave() == 3
    assert client.lrange(KEY, 0, -1) == [b"a", b"b", b"c", b"d"]
    assert client.keys() == [KEY.encode()]


def test_a_batch_is_bounded_in_bytes(client, make_list, monkeypatch):
    monkeypatch.setattr(taking, "BATCH_BYTES", 100)
    push(client, *["x" * 60] * 5)
    entries = make_list()

    assert len(entries.take(5)) == 2
    assert len(entries.take(5)) == 2


def test_an_entry_of_any_size_is_read_up_to_the_limit_only(client, make_list):
    push(client, "x" * (LONGEST + 1000))

    [entry] = make_list().take(1)

    assert len(entry) == LONGEST + 1


def test_bytes_that_are_no_text_come_as_they_are(client, make_list):
    push(client, b"\xff{\x00}")

    [entry] = make_list().take(1)

    assert entry.encode(errors="surrogateescape") == b"\xff{\x00}"


# Other relays ---------------------------------------------------------------------------------


def test_relays_never_get_the_same_entry(client, make_list):
    push(client, *[str(n) for n in range(300)])
    relays, taken = [make_list() for _ in range(4)], []

    def work(entries):
        while batch := entries.take(7):
            taken.extend(batch)
            entries.settle(len(batch), [])

    threads = [threading.Thread(target=work, args=(one,)) for one in relays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(taken, key=int) == [str(n) for n in range(300)]


def test_what_a_silent_relay_holds_is_taken_over(client, make_list):
    push(client, "a", "b", "c")
    silent, other = make_list(lease=0.2), make_list()
    silent.take(2)
    wait_for_the_end_of(0.2)

    assert other.adopt() == 2
    assert other.take(3) == ["a", "b", "c"]
    assert everything(client) == ["a", "b", "c"]


def test_what_a_living_relay_holds_is_left_alone(client, make_list):
    push(client, "a")
    living, other = make_list(lease=60), make_list()
    living.take(1)

    assert other.adopt() == 0
    assert living.take(1) == ["a"]


def test_signs_of_life_count_from_now(client, make_list):
    push(client, "a")
    living, other = make_list(lease=1), make_list()
    living.take(1)
    for _ in range(3):
        time.sleep(0.4)
        living.live()

    assert other.adopt() == 0


def test_a_relay_with_full_hands_takes_over_nothing(client, make_list):
    push(client, "a", "b")
    silent, other = make_list(lease=0.1), make_list()
    silent.take(1)
    other.take(1)
    wait_for_the_end_of(0.1)

    assert other.adopt() == 0
    other.settle(1, [])
    assert other.adopt() == 1


def test_a_relay_that_was_taken_over_is_told_and_harms_nobody(client, make_list):
    push(client, "a", "b")
    slow, other = make_list(lease=0.1), make_list()
    slow.take(1)
    wait_for_the_end_of(0.1)
    other.adopt()

    assert slow.settle(1, ["letter"]) == (False, 0)
    assert other.take(1) == ["a"]
    assert client.llen(DEAD) == 0
    assert slow.take(1) == ["b"]


def test_relays_that_left_or_hold_nothing_are_forgotten(client, make_list):
    silent, other = make_list(lease=0.1), make_list()
    silent.take(1)
    wait_for_the_end_of(0.1)
    other.take(1)

    assert other.adopt() == 0
    assert [one.decode() for one in client.zrange(f"{KEY}:pushtasks:relays", 0, -1)] == [other.id]


# Waiting --------------------------------------------------------------------------------------


def test_all_that_wait_are_woken_and_nothing_is_taken(client, make_list):
    relays = [make_list() for _ in range(3)]
    threads = [threading.Thread(target=one.wait) for one in relays]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    while client.info("clients")["blocked_clients"] < 3:
        assert time.monotonic() - started < taking.WAIT, "they did not wait"

    push(client, "a", "b")
    pushed = time.monotonic()
    for thread in threads:
        thread.join(5)

    assert time.monotonic() - pushed < taking.WAIT / 2
    assert client.lrange(KEY, 0, -1) == [b"a", b"b"]


def test_waiting_ends_by_itself(make_list):
    started = time.monotonic()

    make_list().wait()

    assert taking.WAIT * 0.9 < time.monotonic() - started < taking.TIMEOUT


# Dead letters ---------------------------------------------------------------------------------


def test_the_newest_dead_letters_are_kept(client, make_list, monkeypatch):
    monkeypatch.setattr(dead_letters, "LIMIT", 3)
    push(client, *"abcde")
    entries = make_list()
    entries.take(5)

    assert entries.settle(5, ["1", "2", "3", "4", "5"]) == (True, 2)
    assert list(entries.letters()) == ["3", "4", "5"]


def test_dead_letters_come_back_as_the_entries_that_they_were(client, make_list, monkeypatch):
    monkeypatch.setattr(taking, "PAGE", 2)
    raw = [b"{nope", b"\xff", "é".encode(), b"x" * (dead_letters.LONGEST + 1), b"last"]
    texts = [one.decode(errors="surrogateescape") for one in raw]
    entries = make_list()
    push(client, "a")
    entries.take(1)
    entries.settle(1, [write_letter(Broken(text, "why"), NOW) for text in texts])

    assert entries.revive() == 4
    assert client.lrange(KEY, 0, -1) == [raw[0], raw[1], raw[2], raw[4]]
    [left] = entries.letters()
    assert '"cut": true' in left


def test_entries_that_are_still_broken_are_revived_once(client, make_list, monkeypatch):
    """As with a relay that is quick to write the same letter again."""
    entries, revive = make_list(), EntryList._revive
    letters = [write_letter(Broken(f"broken {n}", "why"), NOW) for n in range(3)]
    client.rpush(entries.dead_key, *letters)

    def revive_and_fail_again(self, letter):
        client.rpush(entries.dead_key, letter)
        return revive(self, letter)

    monkeypatch.setattr(EntryList, "_revive", revive_and_fail_again)

    assert entries.revive() == 3
    assert client.llen(entries.dead_key) == 3


# Trouble --------------------------------------------------------------------------------------


def test_another_kind_of_key_is_refused_by_name(client, make_list):
    client.set(KEY, "x")

    with pytest.raises(InvalidSettings, match=r"^key 'push_queue' at 127.0.0.1:\d+/2 is a string;"):
        make_list().require_list()


def test_a_list_or_nothing_is_right(client, make_list):
    make_list().require_list()
    push(client, "a")

    make_list().require_list()


def test_a_redis_that_is_away_is_said_to_be():
    away = EntryList("redis://:secret@127.0.0.1:1/0", KEY, 60)

    with pytest.raises(StoreUnavailable, match=r"^Redis at 127.0.0.1:1/0: ") as caught:
        away.take(1)
    assert "secret" not in str(caught.value)


def test_a_wrong_url_is_refused():
    with pytest.raises(InvalidSettings, match=r"^redis_url: "):
        EntryList("http://localhost", KEY, 60)
