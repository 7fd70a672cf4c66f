"""The application, over a real Redis that no worker reads from."""

import pytest
from celery import Celery

from pushtasks.adapters.http import Options, create_app
from pushtasks.adapters.http.state import EXTENSION


@pytest.fixture
def celery_app(redis_server):
    """The Celery app of a process that knows the broker, and nothing of the workers' apps."""
    redis_server.flush()
    app = Celery("host", broker=redis_server.url(0), backend=redis_server.url(1))
    app.conf.pushtasks = {}
    yield app
    app.close()


@pytest.fixture
def stop_after_test():
    """(application) → what its requests start is stopped with the test."""
    made = []
    yield made.append
    for app in made:
        app.extensions[EXTENSION].stop()


@pytest.fixture
def make_app(celery_app, stop_after_test):
    """(celery_app, options) → an application."""

    def make(of=celery_app, **options):
        app = create_app(of, Options(**options))
        stop_after_test(app)
        return app

    return make


@pytest.fixture
def client(make_app):
    """A client of an application with nothing set."""
    return make_app().test_client()


@pytest.fixture
def service(client):
    """The service of that application."""
    return client.application.extensions[EXTENSION]


@pytest.fixture
def queued(celery_app, redis_server):
    """(queue) → how many tasks wait in it."""
    import redis  # noqa: PLC0415

    def count(queue="push"):
        with redis.Redis(port=redis_server.port) as client:
            return client.llen(queue)

    return count


@pytest.fixture
def wait_for():
    """(condition) → returns what it does once that is true."""
    import time  # noqa: PLC0415

    def wait(condition, timeout=20.0):
        deadline = time.monotonic() + timeout
        while not (found := condition()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)
        return found

    return wait
