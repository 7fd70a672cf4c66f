"""When lists may be sent: what a process knows, and what it asks Redis."""

import logging

import pytest
from celery import Celery

from pushtasks.results import Verdict
from pushtasks.sending import pacing
from pushtasks.store import current_store
from pushtasks.store.rates import Limit

BUSY = Verdict(503, "UNAVAILABLE", retry_after=5.0)
ACCEPTED = Verdict(200)


@pytest.fixture(autouse=True)
def _know_nothing(monkeypatch):
    monkeypatch.setattr(pacing, "_silent_until", {})


@pytest.fixture
def make_host():
    apps = []

    def make(url):
        app = Celery("host", broker="memory://", set_as_current=False)
        app.conf.pushtasks = {"redis_url": url}
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def host(make_host, redis_server):
    redis_server.flush()
    return make_host(redis_server.url())


@pytest.fixture
def lost(make_host):
    """A Celery app whose Redis is away."""
    return make_host("redis://127.0.0.1:1")


def test_an_app_without_a_rate_asks_nobody(lost):
    assert pacing.turn(lost, Limit("gcm", "default"), 500, 0) == (0.0, 0)


def test_an_app_with_a_rate_waits_for_its_turn(host):
    limit = Limit("gcm", "default", rate=500)

    first, second = (pacing.turn(host, limit, 500, 0) for _ in range(2))

    assert first.wait == 0
    assert second.wait == pytest.approx(1.0, abs=0.2)
    assert pacing.turn(host, limit, 500, second.slot).slot == second.slot


def test_while_redis_is_away_nobody_waits(lost, caplog):
    with caplog.at_level(logging.WARNING):
        assert pacing.turn(lost, Limit("gcm", "default", rate=1), 500, 0) == (0.0, 0)

    assert "gcm app 'default' sends without regard to its rate" in caplog.text


def test_a_busy_provider_silences_its_app_here_and_everywhere(host):
    limit, other = Limit("gcm", "default"), Limit("gcm", "other")

    pacing.heed(host, limit, [ACCEPTED, BUSY, ACCEPTED])

    assert pacing.turn(host, limit, 1, 0).wait == pytest.approx(5.0, abs=0.5)
    assert pacing.turn(host, other, 1, 0).wait == 0
    assert current_store(host).rates.turn(limit, 1).wait == pytest.approx(5.0, abs=0.5)


def test_a_busy_provider_is_heeded_here_while_redis_is_away(lost, caplog):
    with caplog.at_level(logging.WARNING):
        pacing.heed(lost, Limit("gcm", "default"), [BUSY])

    assert pacing.turn(lost, Limit("gcm", "default"), 1, 0).wait > 4
    assert "gcm app 'default' sends nothing for 5 s, as the provider asks" in caplog.text
    assert "other workers do not hear" in caplog.text


def test_answers_without_a_wish_change_nothing(host):
    pacing.heed(host, Limit("gcm", "default"), [ACCEPTED, Verdict(404, "UNREGISTERED")])

    assert pacing.turn(host, Limit("gcm", "default"), 1, 0).wait == 0
