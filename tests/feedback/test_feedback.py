"""What is told of devices, and what an app reads: every entry, until it is acknowledged."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from celery import Celery

from pushtasks import feedback, signals
from pushtasks.errors import InvalidSettings
from pushtasks.feedback.late import rejected_late
from pushtasks.feedback.reading import known_dead
from pushtasks.feedback.telling import tell
from pushtasks.news import Entry, Kind, News, Tally
from pushtasks.results import Verdict
from pushtasks.store import StoreUnavailable, current_store

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def make_app(redis_server):
    """(feedback settings) → a Celery app whose feedback is kept in Redis."""

    def make(redis_url=None, **settings):
        app = Celery("test", broker="memory://", set_as_current=False)
        app.conf.pushtasks = {
            "redis_url": redis_url or redis_server.url(),
            "feedback": settings,
            "apns": {
                "classic": {"protocol": "binary", "certificate": "cert.pem", "skip_dead": True}
            },
        }
        return app

    redis_server.flush()
    return make


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def lonely():
    """A Celery app without any Redis."""
    app = Celery("test", broker="memory://", backend="rpc://", set_as_current=False)
    app.conf.pushtasks = {}
    return app


@pytest.fixture
def heard():
    """What our signals are sent; receivers are gone with the test."""
    heard = []

    def listen(signal, **values):
        values.pop("sender")
        heard.append((signal.name, values))

    ours = (signals.token_expired, signals.token_replaced, signals.rejected_late)
    for signal in (*ours, signals.mass_rejection):
        signal.connect(listen)
    yield heard
    for signal in (*ours, signals.mass_rejection):
        signal.disconnect(listen)


def expired(device, reason="Unregistered", **more):
    return News(Kind.EXPIRED, "apns", "classic", device, NOW, reason, **more)


def told(*news, accepted=0):
    return Tally("apns", "classic", accepted=accepted, rejected={"R": len(news)}, news=news)


def tokens(batch):
    return [entry.token for entry in batch]


# Reading --------------------------------------------------------------------------------------


def test_a_batch_is_a_sequence_of_entries(app):
    tell(app, told(expired("a", dead_since=NOW), expired("b")))

    batch = feedback.read("billing", celery_app=app)

    assert len(batch) == 2
    assert batch[1].token == "b"
    assert tokens(batch[:1]) == ["a"]
    assert json.loads(json.dumps([entry.to_dict() for entry in batch]))[0] == {
        "id": batch[0].id,
        "kind": "expired",
        "provider": "apns",
        "app": "classic",
        "token": "a",
        "seen_at": "2026-05-01T12:00:00+00:00",
        "reason": "Unregistered",
        "status": None,
        "dead_since": "2026-05-01T12:00:00+00:00",
        "canonical_id": None,
    }


def test_only_what_is_acknowledged_does_not_come_again(app):
    tell(app, told(*(expired(name) for name in "abc")))
    batch = feedback.read("billing", celery_app=app)

    batch.ack(batch[0], batch[2])

    again = feedback.read("billing", again_after=0, celery_app=app)
    assert tokens(again) == ["b"]
    again.ack()
    assert tokens(feedback.read("billing", again_after=0, celery_app=app)) == []


def test_an_empty_batch_may_be_acknowledged(app):
    batch = feedback.read("billing", celery_app=app)

    assert not batch
    batch.ack()


DYING = """
import os, sys
from celery import Celery
from pushtasks import feedback
app = Celery("dying", broker="memory://")
app.conf.pushtasks = {"redis_url": sys.argv[1]}
print(*[entry.token for entry in feedback.read("billing", celery_app=app)], flush=True)
os.kill(os.getpid(), 9)
"""


def test_entries_in_the_hands_of_a_process_that_is_killed_come_again(app, redis_server):
    tell(app, told(expired("a"), expired("b")))
    killed = subprocess.run(  # noqa: S603
        [sys.executable, "-c", DYING, redis_server.url()],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    tell(app, told(expired("c")))

    assert (killed.stdout, killed.returncode) == ("a b\n", -9)
    assert tokens(feedback.read("billing", again_after=30, celery_app=app)) == ["c"]
    assert tokens(feedback.read("billing", again_after=0, celery_app=app)) == ["a", "b", "c"]


def test_groups_of_ours_cannot_be_read(app):
    with pytest.raises(ValueError, match="choose another"):
        feedback.read("pushtasks.handler", celery_app=app)


def test_without_redis_there_is_nothing_to_read(lonely):
    with pytest.raises(InvalidSettings, match="redis_url"):
        feedback.read("billing", celery_app=lonely)


def test_a_redis_that_is_away_is_named(make_app):
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1/0"):
        feedback.read("billing", celery_app=make_app("redis://:word@127.0.0.1:1/0"))


# Deciding -------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize(
    ("dead_since", "registered_at", "is_dead"),
    [
        (NOW - timedelta(hours=2), NOW - timedelta(hours=3), True),
        (NOW - timedelta(hours=2), NOW - timedelta(hours=2), True),
        (NOW - timedelta(hours=2), NOW - timedelta(hours=1), False),
        (NOW, (NOW + timedelta(hours=1)).astimezone(timezone(timedelta(hours=-5))), False),
        (None, NOW - timedelta(seconds=1), True),
        (None, NOW + timedelta(seconds=1), False),
    ],
)
def test_a_token_that_was_registered_again_since_is_alive(
    dead_since, registered_at, is_dead, as_dict
):
    entry = Entry(Kind.EXPIRED, "apns", "classic", "a", NOW, dead_since=dead_since, id="1-0")

    assert feedback.still_dead(entry.to_dict() if as_dict else entry, registered_at) is is_dead


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        feedback.still_dead(expired("a"), datetime(2026, 5, 1, 12))  # noqa: DTZ001


def test_a_dict_that_is_no_entry_is_refused():
    with pytest.raises(ValueError, match="no entry of the feedback stream"):
        feedback.still_dead({"kind": "expired"}, NOW)


def test_a_token_that_was_registered_again_is_forgotten(app):
    now = datetime.now(UTC)
    dead = News(Kind.EXPIRED, "apns", "classic", "ABCD", now, "Unregistered")
    tell(app, told(dead))

    assert known_dead(app, "apns", "classic", ["ab cd", "ef"]).keys() == {"ab cd"}
    assert feedback.forget("apns", "classic", ["abcd"], celery_app=app) == 1
    assert known_dead(app, "apns", "classic", ["ab cd"]) == {}


# Telling --------------------------------------------------------------------------------------


def test_a_late_rejection_is_news_and_the_end_of_a_token(app):
    tell(app, Tally("apns", "classic", "production", attempts=2, accepted=2))

    rejected_late(app, "classic", "abcd", Verdict(8, "InvalidToken"))

    late, dead = feedback.read("billing", celery_app=app)
    assert (late.kind, late.token, late.reason, late.status) == (
        "rejected_late",
        "abcd",
        "InvalidToken",
        8,
    )
    assert (dead.kind, dead.token) == ("expired", "abcd")
    report = current_store(app).report()["apns"]["classic"]
    assert (report["attempts"], report["accepted"], report["late"]) == (2, 1, 1)


def test_a_late_rejection_that_says_nothing_of_the_device_leaves_the_token_alone(app):
    rejected_late(app, "classic", "abcd", Verdict(7, "InvalidPayloadSize"))

    [late] = feedback.read("billing", celery_app=app)
    assert late.kind == "rejected_late"


def test_telling_never_fails_a_push(make_app, caplog):
    app = make_app("redis://127.0.0.1:1/0")

    rejected_late(app, "classic", "abcd", Verdict(8, "InvalidToken"))
    tell(app, told(expired("a")))

    assert "127.0.0.1:1" in caplog.text


def test_without_redis_signals_are_sent_at_once(lonely, heard):
    replaced = News(Kind.REPLACED, "gcm", "default", "old", NOW, canonical_id="new")

    tell(lonely, told(expired("a")))
    tell(lonely, Tally("gcm", "default", accepted=1, canonical_ids=1, news=(replaced,)))
    rejected_late(lonely, "gateway", "b", Verdict(7, "InvalidPayloadSize"))

    assert [(name, values["entry"]["token"]) for name, values in heard] == [
        ("token_expired", "a"),
        ("token_replaced", "old"),
        ("rejected_late", "b"),
    ]
    assert heard[0][1]["entry"] == {"id": "", **expired("a").to_dict()}


def test_without_redis_too_many_bad_tokens_are_held_back_as_well(lonely, heard, caplog):
    bad = [expired(f"{number}", "BadDeviceToken") for number in range(3)]
    tally = told(*bad, expired("gone"), accepted=1)

    tell(lonely, replace(tally, app="mostly bad"))

    assert [name for name, _ in heard] == ["token_expired", "mass_rejection"]
    assert heard[0][1]["entry"]["token"] == "gone"
    assert heard[1][1] == {
        "provider": "apns",
        "app": "mostly bad",
        "environment": "",
        "held": 3,
        "suspicious": 3,
        "judged": 5,
    }
    assert "3 of 5 pushes" in caplog.text


def test_the_alarm_tells_an_operator_what_to_look_at(app, heard, caplog):
    bad = tuple(expired(f"{number}", "BadDeviceToken") for number in range(3))
    tally = Tally("apns", "classic", "sandbox", attempts=3, rejected={"R": 3}, news=bad)

    tell(app, tally)
    tell(app, tally)

    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage().startswith("apns app 'classic' (sandbox): 3 of 3 pushes within 20")
    assert "wrong environment, topic or certificate" in record.getMessage()
    assert [(name, values["held"]) for name, values in heard] == [("mass_rejection", 3)]


def test_without_redis_a_function_is_called_at_once(lonely):
    lonely.conf.pushtasks = {"feedback": {"handler": f"{__name__}.take"}}
    sys.modules[__name__].taken = taken = []

    tell(lonely, told(expired("a"), expired("b")))

    assert [[entry["token"] for entry in entries] for entries in taken] == [["a", "b"]]


def take(entries):
    sys.modules[__name__].taken.append(entries)
