"""What the whole installation has in common, for Prometheus."""

from datetime import UTC, datetime

import pytest
from celery import Celery
from prometheus_client.parser import text_string_to_metric_families

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks.adapters.prometheus.store import CONTENT_TYPE, store_metrics
from pushtasks.news import Kind, News, Tally
from pushtasks.store import current_store
from pushtasks.store.fanout_state import Spec, State
from pushtasks.store.rates import Limit

TOKEN = "ab" * 32


@pytest.fixture
def make_app(tmp_path, monkeypatch):
    """(URL of a Redis, settings) → a Celery app with that broker."""
    monkeypatch.chdir(tmp_path)
    apps = []

    def make(url, **settings):
        app = Celery("host", broker=url, set_as_current=False)
        app.conf.pushtasks = settings
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def app(make_app, redis_server):
    redis_server.flush()
    return make_app(redis_server.url(0), redis_url=redis_server.url(2))


@pytest.fixture
def store(app):
    return current_store(app)


#: As labels are told, which are sorted otherwise.
LABELS = ("queue", "state", "provider", "app", "outcome", "reason")


def values(app):
    """Return all samples, by name and values of their labels."""
    text, content_type = store_metrics(app)
    assert content_type == CONTENT_TYPE
    return {
        (
            sample.name.removeprefix("pushtasks_"),
            *(sample.labels[name] for name in LABELS if name in sample.labels),
        ): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_pushes_are_told_by_what_became_of_them(app, store):
    store.note(
        Tally(
            "apns",
            "default",
            attempts=12,
            accepted=5,
            rejected={"Unregistered": 2, "Whatever": 1, "Ever": 1},
            not_sent=1,
            maybe_sent=1,
            pending=1,
            canonical_ids=1,
        )
    )

    found = values(app)

    pushes = "reported_pushes_total", "apns", "default"
    assert found[*pushes, "accepted", ""] == 5
    assert found[*pushes, "rejected", "Unregistered"] == 2
    assert found[*pushes, "rejected", "other"] == 2
    assert found[*pushes, "not_sent", ""] == found[*pushes, "maybe_sent", ""] == 1
    assert found["pending_pushes", "apns", "default"] == 1
    assert found["replaced_ids_total", "apns", "default"] == 1
    assert found["store_up",] == 1


def test_a_late_rejection_takes_nothing_from_a_counter(app, store):
    store.note(Tally("apns", "classic", attempts=3, accepted=3))
    before = values(app)
    store.note(Tally("apns", "classic", accepted=-1, late=1))

    after = values(app)

    accepted = "reported_pushes_total", "apns", "classic", "accepted", ""
    assert before[accepted] == after[accepted] == 3
    assert after["reported_late_rejections_total", "apns", "classic"] == 1


def test_dead_tokens_are_told_and_those_that_the_breaker_holds_back(app, store):
    def news(reason):
        return News(
            Kind.EXPIRED, "apns", "default", TOKEN, datetime.now(UTC), reason=reason, status=400
        )

    tally = {"attempts": 1, "accepted": 0, "news": (news("Unregistered"),)}
    store.note(Tally("apns", "default", **tally, rejected={"Unregistered": 1}))
    tally = {"attempts": 3, "accepted": 0, "news": (news("BadDeviceToken"),) * 3}
    store.note(Tally("apns", "default", **tally, rejected={"BadDeviceToken": 3}))

    found = values(app)

    assert found["dead_tokens_total", "apns", "default"] == 1
    assert found["held_rejections_total", "apns", "default"] == 3
    assert found["feedback_entries",] == 1


def test_the_feedback_stream_is_told(app, store):
    store.record(
        [News(Kind.EXPIRED, "gcm", "default", "one", datetime.now(UTC), reason="UNREGISTERED")]
    )

    found = values(app)

    assert found["feedback_entries",] == 1
    assert found["feedback_entries_limit",] == 100_000
    assert found["feedback_entries_lost_total",] == 0


def test_a_pause_that_a_provider_asked_for_is_told(app, store):
    store.note(Tally("gcm", "default", attempts=1, accepted=1))
    assert values(app)["pause_seconds", "gcm", "default"] == 0

    store.rates.pause(Limit("gcm", "default"), 60.0)

    assert 50 < values(app)["pause_seconds", "gcm", "default"] <= 60


def test_waiting_tasks_are_told_by_queue(app):
    for _ in range(3):
        app.send_task("pushtasks.send_apns", queue="push")
    app.send_task("pushtasks.send_apns_many", queue="push.bulk")

    found = values(app)

    assert found["queue_tasks", "push"] == 3
    assert found["queue_tasks", "push.bulk"] == 1
    assert found["queue_tasks", "push.feedback"] == 0
    assert found["broker_up",] == 1


def test_fanouts_are_told_by_state_and_their_devices_by_progress(app, store):
    for state in (State.RUNNING, State.PAUSED, State.CANCELLED):
        id_, _ = store.fanouts.create(Spec("apns", "default", "Hi"))
        store.fanouts.published(id_, 0, 500, 500)
        store.fanouts.set_state(id_, state)

    found = values(app)

    assert found["fanouts", "running"] == found["fanouts", "paused"] == 1
    assert found["fanouts", "cancelled"] == 1
    assert found["fanouts", "finished"] == 0
    assert found["fanout_devices", "outstanding"] == 1500
    assert found["fanout_devices", "settled"] == 0


def test_without_redis_and_broker_it_says_just_that(make_app, free_port):
    app = make_app(f"redis://127.0.0.1:{free_port}/0")

    assert values(app) == {("store_up",): 0, ("broker_up",): 0}


def test_where_there_is_to_be_no_redis_none_is_missed(make_app):
    found = values(make_app("memory://"))

    assert ("store_up",) not in found
    assert found["broker_up",] == 1


def test_wrong_settings_are_no_reason_to_fail(make_app, redis_server):
    app = make_app(redis_server.url(0), apns={"default": {"topic": 1}})

    assert values(app)["store_up",] == 0


def test_certificates_are_told_wherever_they_are_known(make_app, redis_server, emulator):
    classic = {
        "protocol": "binary",
        "certificate": str(emulator.directory / "client.pem"),
        "certificate_key": str(emulator.directory / "client-key.pem"),
    }
    broken = {**classic, "certificate": "/nowhere/cert.pem"}
    app = make_app(redis_server.url(0), apns={"classic": classic, "broken": broken})

    found = values(app)

    assert found["certificate_expiry_timestamp_seconds", "classic"] > datetime.now(UTC).timestamp()
    assert ("certificate_expiry_timestamp_seconds", "broken") not in found


def test_prometheus_has_nothing_to_object_to(app, store, check_metrics):
    store.note(Tally("apns", "default", attempts=2, accepted=1, rejected={"Unregistered": 1}))

    check_metrics(store_metrics(app)[0].decode())
