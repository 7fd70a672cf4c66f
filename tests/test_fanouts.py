"""Fan-outs in Redis: what is done twice counts once, whoever is killed when."""

from datetime import UTC, datetime, timedelta

import pytest
import redis

from pushtasks.config import load_settings
from pushtasks.store import StoreUnavailable
from pushtasks.store.fanout_state import Spec, State
from pushtasks.store.store import Store

SPEC = Spec("apns", "default", {"aps": {"alert": "Hi"}}, {"priority": 5}, source={"path": "t.csv"})
WEEK = 7 * 24 * 3600


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


def test_everything_expires(fanouts, client):
    id_, _ = fanouts.create(Spec("apns", "default", "Hi", key="k"))
    fanouts.published(id_, 0, 0, 1, [{"line": 1}], key="k")

    ages = [client.ttl(name) for name in client.scan_iter("*")]

    assert len(ages) == 5  # hash, done, failures, index, key
    assert all(WEEK - 60 < age <= WEEK for age in ages)
