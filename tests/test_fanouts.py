"""Fan-outs in Redis: what is done twice counts once, whoever is killed when."""

import dataclasses
import time
from datetime import UTC, datetime, timedelta

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushtasks.config import load_settings
from pushtasks.news import Kind, News
from pushtasks.store import StoreUnavailable, keys
from pushtasks.store.chunks import Begun, Note, Places, Settled
from pushtasks.store.fanout_state import Spec, State
from pushtasks.store.rates import Limit
from pushtasks.store.store import Store

SPEC = Spec("apns", "default", {"aps": {"alert": "Hi"}}, {"priority": 5}, source={"path": "t.csv"})
WEEK = 7 * 24 * 3600
APP = Limit("apns", "default")
NOW = datetime.now(UTC)


@pytest.fixture
def client(redis_server):
    redis_server.flush()
    with redis.Redis.from_url(redis_server.url(), decode_responses=True) as client:
        yield client


@pytest.fixture
def store(client, redis_server):
    return Store(load_settings({}, environ={}), redis_server.url())


@pytest.fixture
def fanouts(store):
    return store.fanouts


@pytest.fixture
def fanout(fanouts):
    return fanouts.create(SPEC)[0]


def test_a_new_fanout_runs_and_has_counted_nothing(fanouts):
    id_, is_new = fanouts.create(SPEC)

    found = fanouts.find(id_)

    assert is_new
    assert (found.id, found.spec, found.state) == (id_, SPEC, State.RUNNING)
    assert (found.devices, found.settled, found.position, found.failures) == (0, 0, None, 0)
    assert (found.error, found.finished_at, found.is_over) == (None, None, False)
    assert datetime.now(UTC) - found.created_at < timedelta(seconds=5)
    assert 0 <= found.seconds < 5


def test_a_key_leads_to_the_fanout_that_was_started_first(fanouts):
    first, _ = fanouts.create(Spec("apns", "default", "Hi", key="news 7"))

    assert fanouts.create(Spec("gcm", "default", "Ho", key="news 7")) == (first, False)
    assert fanouts.create(Spec("gcm", "default", "Ho", key="news 8"))[1]
    assert fanouts.find(first).spec.provider == "apns"


def test_an_instant_among_the_options_comes_back_as_text(fanouts):
    until = datetime(2026, 1, 2, tzinfo=UTC)
    id_, _ = fanouts.create(Spec("apns", "default", "Hi", {"expiration": until}))

    assert fanouts.spec(id_).options == {"expiration": "2026-01-02T00:00:00+00:00"}


def test_all_that_are_not_over_are_under_way_however_old(fanouts, client, monkeypatch):
    monkeypatch.setattr("pushtasks.store.fanouts.PAGE", 2)
    ids = [fanouts.create(SPEC)[0] for _ in range(5)]
    fanouts.source_ended(ids[3])
    client.delete(keys.fanout(ids[2]))

    assert set(fanouts.under_way()) == {ids[0], ids[1], ids[4]}


def test_what_is_unknown_is_none(fanouts):
    assert fanouts.find("nope") is None
    assert fanouts.spec("nope") is None
    assert fanouts.standing("nope") is None
    assert fanouts.published("nope", 0, 1, 1) is None
    assert fanouts.source_ended("nope") is None
    assert not fanouts.set_state("nope", State.PAUSED)
    assert fanouts.failures("nope") == []


def test_the_newest_come_first(fanouts, client):
    ids = [fanouts.create(SPEC)[0] for _ in range(3)]
    for place, id_ in enumerate(ids):  # they began in the same millisecond
        client.zadd("pushtasks:fanouts", {id_: place})
    client.delete(f"pushtasks:fanout:{ids[1]}")

    assert [fanout.id for fanout in fanouts.newest()] == [ids[2], ids[0]]
    assert [fanout.id for fanout in fanouts.newest(1)] == [ids[2]]


def test_a_chunk_is_counted_once_however_often_it_is_noted(fanouts, fanout):
    invalid = [{"line": 3, "reason": "no token"}]
    for _ in range(2):
        standing = fanouts.published(fanout, 0, 500, 501, invalid)
    fanouts.published(fanout, 1, 7, {"line": 508})

    found = fanouts.find(fanout)
    assert (standing.chunks_published, standing.outstanding) == (1, 1)
    assert (found.devices, found.invalid, found.failures) == (508, 1, 1)
    assert (found.chunks_published, found.position) == (2, {"line": 508})
    assert [failure for _, failure in fanouts.failures(fanout)] == invalid


def test_a_chunk_that_was_left_out_is_noticed(fanouts, fanout):
    with pytest.raises(StoreUnavailable, match="chunk 1 was noted before chunk 0"):
        fanouts.published(fanout, 1, 5, 5)


def test_a_fanout_of_nothing_is_over_at_once(fanouts, fanout):
    assert fanouts.source_ended(fanout).is_over

    assert fanouts.find(fanout).state is State.FINISHED


def test_a_chunk_of_nothing_but_trouble_is_done_at_once(fanouts, fanout):
    fanouts.published(fanout, 0, 0, 2, [{"line": 1}, {"line": 2}])
    standing = fanouts.source_ended(fanout, "disk: gone", position=3, invalid=[{"line": 3}])
    again = fanouts.source_ended(fanout, "other", position=3, invalid=[{"line": 3}])

    found = fanouts.find(fanout)
    assert standing == again
    assert (standing.is_over, standing.source_ended, standing.outstanding) == (True, True, 0)
    assert (found.devices, found.invalid, found.error) == (3, 3, "disk: gone")
    assert found.seconds == (found.finished_at - found.created_at).total_seconds()


@pytest.mark.parametrize(
    ("moves", "state"),
    [
        ("paused running", State.RUNNING),
        ("paused cancelled", State.CANCELLED),
        ("cancelled", State.CANCELLED),
    ],
)
def test_legal_moves_are_made(fanouts, fanout, moves, state):
    assert [fanouts.set_state(fanout, State(move)) for move in moves.split()] == [True] * len(
        moves.split()
    )
    assert fanouts.find(fanout).state is state


@pytest.mark.parametrize("moves", ["running", "cancelled running", "cancelled paused"])
def test_other_moves_are_not(fanouts, fanout, moves):
    made = [fanouts.set_state(fanout, State(move)) for move in moves.split()]

    assert made[-1] is False


def test_what_is_over_cannot_be_cancelled(fanouts, fanout):
    fanouts.source_ended(fanout)

    assert not fanouts.set_state(fanout, State.CANCELLED)


def test_a_cancelled_fanout_waits_for_its_publisher_unless_that_is_gone(fanouts, fanout):
    assert fanouts.claim(fanout, "me", 30)
    fanouts.set_state(fanout, State.CANCELLED)
    assert fanouts.standing(fanout) == (State.CANCELLED, 0, 0, False, True, False)

    fanouts.release(fanout, "me")

    assert fanouts.standing(fanout) == (State.CANCELLED, 0, 0, True, False, True)


def test_one_publishes_at_a_time(fanouts, fanout):
    assert fanouts.claim(fanout, "me", 30)
    assert fanouts.claim(fanout, "me", 30)
    assert not fanouts.claim(fanout, "you", 30)
    assert fanouts.find(fanout).has_publisher
    assert not fanouts.release(fanout, "you")
    assert fanouts.release(fanout, "me")
    assert not fanouts.find(fanout).has_publisher


def test_what_is_kept_of_a_fanout_of_one_chunk_expires_too(fanouts, store, fanout, client):
    fanouts.published(fanout, 0, 2, 2, work="[1, []]")
    fanouts.source_ended(fanout)

    store.chunks.begin(fanout, 0, 2, [(APP, 2, 0)])
    during = {name: client.ttl(name) for name in client.scan_iter("pushtasks:fanout*")}
    store.chunks.note(Note(fanout, 0, 2, APP, accepted=Places.of(2, [0, 1]), is_over=True))
    after = {name: client.ttl(name) for name in client.scan_iter("pushtasks:fanout*")}

    assert f"pushtasks:fanout:{fanout}:running" in during
    assert f"pushtasks:fanout:{fanout}:done" in after
    assert all(WEEK - 60 < age <= WEEK for age in [*during.values(), *after.values()])


def test_everything_expires(fanouts, client):
    id_, _ = fanouts.create(Spec("apns", "default", "Hi", key="k"))
    fanouts.published(id_, 0, 0, 1, [{"line": 1}], key="k")

    ages = [client.ttl(name) for name in client.scan_iter("*")]

    assert len(ages) == 5  # hash, done, failures, index, key
    assert all(WEEK - 60 < age <= WEEK for age in ages)


# Chunks -------------------------------------------------------------------------------------------


@pytest.fixture
def chunks(store):
    return store.chunks


@pytest.fixture
def published(fanouts, fanout):
    """A fan-out with a chunk of ten devices, and nothing to come after it."""
    fanouts.published(fanout, 0, 10, 10)
    fanouts.source_ended(fanout)
    return fanout


def begin(chunks, fanout, size=10, **more):
    return chunks.begin(fanout, 0, size, [(APP, size, 0)], **more)


def accepted(fanout, places, size=10, **more):
    return Note(fanout, 0, size, APP, accepted=Places.of(size, places), **more)


def settled(place, outcome="rejected", reason="Unregistered"):
    return Settled(
        place,
        outcome,
        f"{outcome}:{reason}",
        is_judged=True,
        is_renamed=False,
        news=(News(Kind.EXPIRED, "apns", "default", "ab", NOW, reason, status=410),),
        failure={"line": place, "token": "ab"},
    )


@given(
    st.integers(1, 1000).flatmap(
        lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1)))
    )
)
def test_places_are_bits_as_redis_counts_them(drawn):
    size, places = drawn
    bitmap = Places.of(size, places).to_bitmap()
    begun = Begun(State.RUNNING, is_done=False, settled=bitmap, wait=0, is_repeat=False, slots=())

    assert {place for place in range(size + 8) if begun.is_settled(place)} == places


def test_a_chunk_is_done_when_each_device_is_settled(chunks, fanouts, published, client):
    assert begin(chunks, published) == (State.RUNNING, False, b"", 0.0, False, (0,))
    is_done, _ = chunks.note(accepted(published, range(8), is_over=True, retried=2))
    assert not is_done
    assert begin(chunks, published).settled == b"\xff\x00"

    is_done, _ = chunks.note(accepted(published, [8], others=[settled(9)], is_over=True))

    found = fanouts.find(published)
    assert is_done
    assert (found.accepted, found.rejected, found.retried, found.repeated) == (9, 1, 2, 0)
    assert (found.chunks_done, found.state, found.is_over) == (1, State.FINISHED, True)
    assert begin(chunks, published).is_done
    assert [failure for _, failure in fanouts.failures(published)] == [{"line": 9, "token": "ab"}]
    assert not [name for name in client.scan_iter("*") if ":chunk:" in name or ":running" in name]


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(notes=st.lists(st.tuples(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))))
def test_a_device_counts_once_whatever_is_noted_how_often(notes, store):
    store.reset_report()
    fanout, _ = store.fanouts.create(SPEC)
    store.fanouts.published(fanout, 0, 10, 10)
    store.fanouts.source_ended(fanout)
    rest = (set(range(10)), set())
    for places, rejected in [*notes, rest]:
        others = [settled(place) for place in rejected]
        store.chunks.note(accepted(fanout, places, others=others))
        store.chunks.note(accepted(fanout, places, others=others, is_over=True))

    found = store.fanouts.find(fanout)
    report = store.report()["apns"]["default"]
    assert (found.settled, found.devices, found.is_over) == (10, 10, True)
    assert found.failures == found.rejected
    assert report["attempts"] == 10
    assert report["accepted"] == found.accepted
    assert report["rejected"].get("Unregistered", 0) == found.rejected


def test_news_about_a_device_are_told_once(chunks, store, published):
    for _ in range(2):
        chunks.note(accepted(published, [], others=[settled(1), settled(2)]))

    assert [(entry.token, entry.reason) for entry in store.entries()] == [
        ("ab", "Unregistered"),
        ("ab", "Unregistered"),
    ]


def test_a_try_that_was_cut_off_shows_when_the_next_begins(chunks, fanouts, published):
    begin(chunks, published)
    chunks.note(accepted(published, range(4)))

    begun = begin(chunks, published)

    assert begun.is_repeat
    assert fanouts.find(published).repeated == 6


def test_devices_that_end_alike_are_counted_without_a_list(chunks, fanouts, store, published):
    chunks.note(accepted(published, [0, 1]))

    is_done, _ = chunks.note(
        Note(published, 0, 10, APP, alike=Places.of(10, range(10)), error="no key")
    )

    found = fanouts.find(published)
    assert is_done
    assert (found.accepted, found.not_sent, found.failures, found.error) == (2, 8, 0, "no key")
    assert store.report()["apns"]["default"]["attempts"] == 2


def test_nothing_begins_in_a_paused_cancelled_or_forgotten_fanout(chunks, fanouts, published):
    fanouts.set_state(published, State.PAUSED)
    assert begin(chunks, published).state is State.PAUSED
    fanouts.set_state(published, State.CANCELLED)
    assert begin(chunks, published).state is State.CANCELLED
    assert begin(chunks, "nope").state is None
    assert chunks.note(accepted("nope", [1])) == (True, [])
    assert fanouts.find(published).repeated == 0


def test_a_look_begins_nothing(chunks, published):
    begin(chunks, published, own_wait=1.5)

    assert not begin(chunks, published).is_repeat


def test_the_list_of_failures_is_bounded_and_its_count_is_true(chunks, fanouts, published, client):
    with client.pipeline() as pipeline:
        for _ in range(100_000):
            pipeline.xadd(f"pushtasks:fanout:{published}:failures", {"failure": "{}"})
        pipeline.hset(f"pushtasks:fanout:{published}", "failures", 100_000).execute()

    for place in range(10):
        chunks.note(accepted(published, [], others=[settled(place)] * 100))

    assert fanouts.find(published).failures == 100_010
    assert client.xlen(f"pushtasks:fanout:{published}:failures") <= 100_100


def test_memory_does_not_grow_with_the_chunks(chunks, fanouts, fanout, client):
    sizes = []
    for number in range(3000):
        fanouts.published(fanout, number, 500, number * 500)
        begun = chunks.begin(fanout, number, 500, [(APP, 500, 0)])
        places = Places.of(500, range(500))
        assert begun.state is State.RUNNING
        chunks.note(Note(fanout, number, 500, APP, accepted=places, is_over=True))
        if number in {1000, 2999}:
            names = [name for name in client.scan_iter("*") if not name.startswith(keys.MINUTES)]
            sizes.append({name: client.memory_usage(name) for name in names})

    first, last = sizes
    assert fanouts.find(fanout).accepted == 1_500_000
    assert first.keys() == last.keys()  # the fan-out's own, its bitmap, the index, the report
    assert len(last) <= 6
    assert sum(last.values()) < 4096
    # the bitmap by its length: Redis sets aside as much again, or more, as its memory has it
    bitmap = f"pushtasks:fanout:{fanout}:done"
    assert client.strlen(bitmap) <= 3000 / 8
    del first[bitmap], last[bitmap]
    assert sum(last.values()) - sum(first.values()) <= 100


# Rates --------------------------------------------------------------------------------------------


def test_without_a_rate_nobody_waits(store, client):
    assert store.rates.turn(APP, 1000) == (0.0, 0)
    assert client.keys() == []


def test_slots_follow_each_other_at_the_rate(store):
    limit = Limit("gcm", "default", rate=1000)

    turns = [store.rates.turn(limit, 500) for _ in range(5)]

    slots = [turn.slot - turns[0].slot for turn in turns]
    assert slots == pytest.approx([0, 500, 1000, 1500, 2000], abs=2)
    assert turns[0].wait == 0
    assert turns[4].wait == pytest.approx(2.0, abs=0.3)


def test_a_slot_is_kept_and_not_given_twice(store):
    limit = Limit("gcm", "default", rate=1000)
    store.rates.turn(limit, 500)
    waiting = store.rates.turn(limit, 500)

    again = store.rates.turn(limit, 500, waiting.slot)

    assert again.slot == waiting.slot
    assert again.wait == pytest.approx(waiting.wait, abs=0.1)
    assert store.rates.turn(limit, 500).slot == pytest.approx(waiting.slot + 500, abs=2)


def test_a_slot_that_was_missed_is_void(store):
    limit = Limit("gcm", "default", rate=1000)
    first = store.rates.turn(limit, 5000)

    assert store.rates.turn(limit, 500, first.slot - 3000).slot >= first.slot + 4999


def test_a_ramp_begins_at_a_tenth(store):
    limit = Limit("gcm", "default", rate=1000, ramp=10)

    first, second, third = (store.rates.turn(limit, 100) for _ in range(3))

    assert second.slot - first.slot == pytest.approx(1000, abs=2)  # 100 a second
    assert third.slot - second.slot == pytest.approx(100 / 190 * 1000, abs=5)


def test_a_pause_holds_all_and_the_longest_counts(store, client):
    store.rates.pause(APP, 5.0)
    store.rates.pause(APP, 1.0)

    assert store.rates.turn(APP, 1).wait == pytest.approx(5.0, abs=0.5)
    assert store.rates.turn(Limit("apns", "other"), 1).wait == 0
    assert client.ttl("pushtasks:quiet:apns:default") in {4, 5}


def test_after_a_pause_an_app_begins_slowly_again(store):
    limit = Limit("gcm", "default", rate=1000, ramp=0.2)
    store.rates.turn(limit, 1)
    store.rates.pause(limit, 0.3)
    time.sleep(0.3)

    first, second = store.rates.turn(limit, 100), store.rates.turn(limit, 100)

    assert second.slot - first.slot > 400  # not 100, as at the full rate


def test_a_note_may_silence_an_app(chunks, published, store):
    chunks.note(accepted(published, [1], silence=5.0))

    assert begin(chunks, published).wait == pytest.approx(5.0, abs=0.5)
    assert not begin(chunks, published).is_repeat


def lost(fanouts, fanout, overdue=0.0, silence=60.0):
    time.sleep(0.01)  # times are in milliseconds
    return sorted(fanouts.lost(fanout, overdue=overdue, silence=silence, longest=3600.0))


@pytest.fixture
def three(fanouts):
    """The id of a fan-out of three chunks that wait for a worker."""
    fanout, _ = fanouts.create(SPEC)
    for number in range(3):
        fanouts.published(fanout, number, 10, 10 * number, work="[0,[]]")
    fanouts.source_ended(fanout)
    return fanout


def test_a_chunk_that_a_later_one_has_overtaken_is_lost(chunks, fanouts, three):
    before = lost(fanouts, three)
    chunks.begin(three, 1, 10, [(APP, 10, 0)], task="one", lease=60)

    assert (before, lost(fanouts, three, overdue=60), lost(fanouts, three)) == ([], [], [0])


def test_chunks_of_which_nothing_is_heard_are_lost_for_longer_and_longer(chunks, fanouts, three):
    assert lost(fanouts, three, silence=0.005) == [0, 1, 2]
    assert lost(fanouts, three, silence=5) == []
    fanouts.lost(three, overdue=60, silence=0.001, longest=0.001)
    chunks.begin(three, 2, 10, [(APP, 10, 0)], task="one", lease=60)

    assert lost(fanouts, three, silence=0.009, overdue=60) == [0, 1]


def test_a_chunk_is_lost_when_it_is_no_longer_in_good_hands(chunks, fanouts, three):
    chunks.begin(three, 0, 10, [(APP, 10, 0)], task="one", lease=0.001)
    gone = lost(fanouts, three)
    chunks.begin(three, 0, 10, [(APP, 10, 0)], task="two", lease=0.001)
    chunks.note(dataclasses.replace(accepted(three, [1]), lease=60))

    assert (gone, lost(fanouts, three)) == ([0], [])


def test_what_is_paused_or_done_is_not_lost(chunks, fanouts, three):
    fanouts.set_state(three, State.PAUSED)
    paused = lost(fanouts, three, silence=0.001)
    fanouts.set_state(three, State.RUNNING)
    chunks.note(accepted(three, range(10), is_over=True))

    assert (paused, lost(fanouts, three, silence=0.001)) == ([], [1, 2])
    assert chunks.work(three, 0) is None


def test_a_second_message_of_a_chunk_waits_while_the_first_is_in_good_hands(chunks, three):
    turn = [(APP, 10, 0)]
    first = chunks.begin(three, 0, 10, turn, task="one", lease=60)
    second = chunks.begin(three, 0, 10, turn, task="two", lease=60)
    again = chunks.begin(three, 0, 10, turn, task="one", lease=0.001)
    time.sleep(0.01)
    third = chunks.begin(three, 0, 10, turn, task="two", lease=60)

    assert (first.wait, first.is_repeat) == (0, False)
    assert 59 < second.wait <= 60
    assert (again.wait, again.is_repeat) == (0, True)
    assert (third.wait, third.is_repeat) == (0, True)
