"""A list in a real Redis, and relays at it."""

import base64
import json

import pytest
import redis
from celery import Celery

from pushtasks.adapters.relay.taking import EntryList

KEY = "push_queue"


@pytest.fixture
def client(redis_server):
    """A producer, in whose database there is nothing yet."""
    redis_server.flush()
    with redis.Redis(port=redis_server.port, db=2) as client:
        yield client


@pytest.fixture
def make_list(redis_server, client):
    """(lease) → the list, as one relay uses it."""

    def make(lease=60.0, key=KEY):
        return EntryList(redis_server.url(2), key, lease)

    return make


@pytest.fixture
def make_app():
    """(broker) → a Celery app that knows nothing of the workers' apps."""
    made = []

    def make(broker):
        celery_app = Celery("host", broker=broker, set_as_current=False)
        celery_app.conf.pushtasks = {}
        made.append(celery_app)
        return celery_app

    yield make
    for celery_app in made:
        celery_app.close()


@pytest.fixture
def tasks_in():
    """(client of the broker) → the ids and arguments of the tasks that wait, in order."""

    def tasks(broker, queue="push.bulk"):
        messages = [json.loads(raw) for raw in reversed(broker.lrange(queue, 0, -1))]
        return [
            (one["headers"]["id"], json.loads(base64.b64decode(one["body"]))[1]) for one in messages
        ]

    return tasks
