"""How apps fare, as the store counts it beside the report: by the minute, and soon forgotten."""

import time

import pytest
import redis

from pushtasks.config import load_settings
from pushtasks.news import Tally
from pushtasks.store import keys
from pushtasks.store.chunks import Note, Places
from pushtasks.store.fanout_state import Spec
from pushtasks.store.health import MINUTES
from pushtasks.store.rates import Limit
from pushtasks.store.store import Store

APP = ("apns", "default")


@pytest.fixture
def client(redis_server):
    redis_server.flush()
    with redis.Redis.from_url(redis_server.url(), decode_responses=True) as client:
        yield client


@pytest.fixture
def store(client, redis_server):
    return Store(load_settings({}, environ={}), redis_server.url())


def last_minutes(store, app=APP):
    """Return the sums of the last two minutes: a test may see one end."""
    [health] = store.health([app])
    return [sum(counts) for counts in zip(*(m[1:] for m in health.minutes[-2:]), strict=True)]


def test_pushes_count_in_the_minute_in_which_they_ended(store):
    store.note(Tally(*APP, attempts=9, accepted=4, rejected={"Unregistered": 2, "TooMany": 1}))
    store.note(Tally(*APP, not_sent=1, maybe_sent=1, pending=3))
    store.note(Tally(*APP, accepted=-1, late=1))

    assert last_minutes(store) == [3, 4, 2]


def test_an_hour_of_minutes_is_read_the_oldest_first(store, client):
    now = client.time()[0] // 60
    for ago, accepted in ((61, 1), (30, 2), (0, 4)):
        slot = keys.minutes(*APP, (now - ago) // keys.MINUTES_SLOT)
        client.hset(slot, f"{now - ago}:accepted", accepted)

    [health] = store.health([APP])

    seen = {int(m.at.timestamp()) // 60 - now: m.accepted for m in health.minutes if m.accepted}
    assert seen == {-30: 2, 0: 4}
    assert len(health.minutes) == MINUTES
    assert [m.at for m in health.minutes] == sorted(m.at for m in health.minutes)


def test_counters_of_minutes_expire_by_themselves(store, client):
    store.note(Tally(*APP, attempts=1, accepted=1))

    [slot] = client.keys(f"{keys.MINUTES}*")

    assert 3600 < client.ttl(slot) <= keys.MINUTES_AGE


def test_devices_of_a_chunk_count_in_their_minute(store):
    id_, _ = store.fanouts.create(Spec("apns", "default", "Hi"))
    store.chunks.note(Note(id_, 0, 3, Limit(*APP), accepted=Places.of(3, [0, 1, 2])))

    assert last_minutes(store) == [3, 0, 0]


def test_when_an_app_was_last_accepted_outlives_a_reset(store):
    store.note(Tally(*APP, attempts=1, accepted=1))
    store.reset_report()

    [health] = store.health([APP])

    assert 0 <= time.time() - health.accepted_at.timestamp() < 60


def test_a_late_rejection_is_no_sign_that_anything_was_accepted(store):
    store.note(Tally(*APP, accepted=-1, late=1))

    [health] = store.health([APP])

    assert health.accepted_at is None
    assert [m.accepted for m in health.minutes] == [0] * MINUTES


def test_a_pause_and_a_rate_that_is_used_up_are_known(store):
    limit = Limit(*APP, rate=10.0)
    store.rates.turn(limit, 100)
    store.rates.pause(Limit("gcm", "other"), 30)

    used, paused = store.health([APP, ("gcm", "other")])

    assert (used.pause, paused.backlog) == (0, 0)
    assert 5 < used.backlog <= 10
    assert 25 < paused.pause <= 30


def test_suspicious_rejections_are_known_by_environment(store):
    store.note(Tally(*APP, "sandbox", attempts=4, accepted=3, rejected={"Unregistered": 1}))
    store.note(Tally(*APP, "production", attempts=5, accepted=5))

    [health] = store.health([APP])

    assert [(s.environment, s.suspicious, s.judged) for s in health.suspicions] == [
        ("production", 0, 5),
        ("sandbox", 0, 4),
    ]


@pytest.mark.parametrize(("buckets_ago", "left"), [(0, (3, 30)), (1, (1, 10)), (2, None)])
def test_the_window_of_the_breaker_moves_on(store, client, buckets_ago, left):
    bucket = client.time()[0] // keys.BREAKER_BUCKET - buckets_ago
    seen = {"suspicious": 1, "judged": 10, "suspicious_before": 2, "judged_before": 20}
    client.hset(keys.breaker(*APP, "production"), mapping={"bucket": bucket, **seen})

    [health] = store.health([APP])

    found = [(one.suspicious, one.judged) for one in health.suspicions]
    assert found == ([left] if left else [])


def test_an_app_that_never_sent_anything_fares_well(store):
    [health] = store.health([("gcm", "new")])

    assert (health.accepted_at, health.pause, health.backlog, health.suspicions) == (None, 0, 0, ())
    assert len(health.minutes) == MINUTES
