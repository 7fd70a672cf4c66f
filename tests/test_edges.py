"""What listens is begun when a worker starts, if it is wanted."""

import logging

import pytest
from celery import Celery, signals

import pushtasks.tasks  # noqa: F401, which connects the edges
from pushtasks import edges, observers


@pytest.fixture
def with_any_worker():
    """What was begun by name, with what arguments, though no setting asks for it."""
    return []


@pytest.fixture
def begun(monkeypatch, with_any_worker):
    """What else was begun; nothing of it really is."""
    begun = []

    def symbol(name):
        calls = with_any_worker if name in {edges.EVENTS, edges.SIGNS_OF_LIFE} else begun
        return lambda *args, **options: calls.append((name, args, options))

    monkeypatch.setattr(edges, "symbol_by_name", symbol)
    monkeypatch.setattr(edges, "find_spec", lambda _: None)
    return begun


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """(settings, pool) → what sends Celery's signal that a worker begins."""
    monkeypatch.chdir(tmp_path)
    apps = []

    def make(settings, pool="solo"):
        apps.append(Celery("host", broker="memory://"))
        apps[-1].conf.pushtasks = settings
        return type("Worker", (), {"app": apps[-1], "pool_cls": pool})()

    yield make
    for app in apps:
        app.close()


@pytest.mark.parametrize(("pool", "forks"), [("prefork", True), ("threads", False)])
def test_metrics_begin_with_a_worker_that_has_an_address_for_them(pool, forks, begun, worker):
    one = worker({"metrics": {"listen": "127.0.0.1:0"}}, pool)

    signals.worker_init.send(sender=one)

    assert begun == [(edges.METRICS, (one.app,), {"forks": forks})]


def test_a_pool_may_be_given_as_a_class(begun, worker):
    pool = edges.get_implementation("prefork")

    signals.worker_init.send(sender=worker({"metrics": {"listen": "127.0.0.1:0"}}, pool))

    assert begun[0][2] == {"forks": True}


@pytest.mark.parametrize("settings", [{}, {"metrics": {"listen": "rubbish"}}])
def test_nothing_else_begins_without_settings_or_by_wrong_ones(
    settings, begun, with_any_worker, worker
):
    one = worker(settings)

    signals.worker_init.send(sender=one)

    assert begun == []
    assert with_any_worker == [(edges.EVENTS, (one.app,), {}), (edges.SIGNS_OF_LIFE, (), {})]


def test_traces_begin_where_opentelemetry_is_installed(begun, worker, monkeypatch):
    monkeypatch.setattr(edges, "find_spec", lambda name: name.startswith("opentelemetry"))

    signals.worker_init.send(sender=worker({}))

    assert begun == [(edges.TRACES, (), {})]


@pytest.mark.parametrize("signal", [signals.after_setup_logger, signals.after_setup_task_logger])
def test_logs_become_json_when_celery_has_set_them_up(signal, begun, worker):
    worker({"logs": {"format": "json"}}).app.set_current()
    logger = logging.getLogger("a worker's root")

    signal.send(sender=None, logger=logger)

    assert begun == [(edges.JSON_LOGS, (logger,), {})]


def test_logs_stay_text_unless_settings_say_otherwise(begun, worker):
    worker({}).app.set_current()

    signals.after_setup_logger.send(sender=None, logger=logging.getLogger("a worker's root"))

    assert begun == []


def test_what_is_begun_by_name_is_there():
    before = observers.registered

    own = (edges.EVENTS, edges.SIGNS_OF_LIFE)
    for name in (*own, edges.METRICS, edges.TRACES, edges.JSON_LOGS):
        assert callable(edges.symbol_by_name(name))

    assert observers.registered == before
