"""Pushes whose answers are lost, and workers that end in the middle of their work."""

import signal
import time
from pathlib import Path

import pytest

from pushtasks import PushMaybeSent

TOKEN = "ab" * 32
TIMEOUT = 60


def children(pid):
    """Return the processes that a process has started, at any depth."""
    direct = [
        int(child)
        for thread in Path(f"/proc/{pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    ]
    return [*direct, *(below for child in direct for below in children(child))]


@pytest.fixture
def in_flight(emulator, wait_until):
    """(count) → returns when so many pushes wait for their answers.

    A connection takes more than one at a time once a push over it was accepted.
    """

    def reached(count):
        wait_until(lambda: emulator.control("GET", "/stats")["apns"]["in_flight"] == count)

    return reached


def test_a_push_whose_answer_is_lost_is_reported_where_the_settings_say_so(
    start_worker, settings, write_settings, tasks, emulator
):
    settings["apns"]["default"]["unanswered"] = "report"
    start_worker("-P", "threads", "-c", "2", **write_settings(settings))
    emulator.control("POST", "/faults", {"service": "apns", "reset_after": 1})

    with pytest.raises(PushMaybeSent, match=r"apns app 'default', device ababab….*try 1 of 6"):
        tasks.send_apns.delay(TOKEN, "Hi").get(TIMEOUT)
    result = tasks.send_apns_many.delay([TOKEN], "Hi").get(TIMEOUT)

    assert (result["accepted"], result["maybe_sent"]) == (0, 1)
    [failure] = result["failures"]
    assert (failure["token"], failure["outcome"]) == (TOKEN, "maybe_sent")


def test_a_push_whose_answer_is_lost_goes_out_again_under_its_id(start_worker, tasks, emulator):
    start_worker("-P", "threads", "-c", "2")
    emulator.control("POST", "/faults", {"service": "apns", "reset_after": 1, "times": 1})

    push = tasks.send_apns.delay(TOKEN, "Hi")

    assert push.get(TIMEOUT)["outcome"] == "accepted"
    assert {entry["headers"]["apns-id"] for entry in emulator.received()} == {push.id}


def test_a_list_in_the_hands_of_a_worker_that_is_killed_is_sent_by_another(
    start_worker, tasks, emulator, in_flight, wait_until
):
    patience = {"PUSHTASKS_VISIBILITY_TIMEOUT": "4"}
    killed = start_worker("-P", "threads", "-c", "2", **patience)
    tokens = [f"{number:064x}" for number in range(50)]
    tasks.send_apns.delay(TOKEN, "Hi").get(TIMEOUT)
    emulator.control("POST", "/faults", {"service": "apns", "delay": 8.0})
    push = tasks.send_apns_many.delay(tokens, "Hi")
    in_flight(50)

    killed.kill()
    for path in ("/faults", "/received"):
        emulator.control("DELETE", path)
    handed_out_again = time.monotonic() + 4.5
    # A worker looks for tasks of silent ones when it starts, and later every minute and a half.
    wait_until(lambda: time.monotonic() > handed_out_again)
    start_worker("-P", "threads", "-c", "2", **patience)

    assert push.get(TIMEOUT)["accepted"] == 50
    sent_again = {entry["token"] for entry in emulator.received()}
    assert sent_again == set(tokens)


@pytest.mark.parametrize(("pool", "concurrency"), [("prefork", 2), ("threads", 8), ("gevent", 8)])
def test_a_worker_that_is_told_to_end_waits_for_answers_and_leaves_nothing_behind(
    pool, concurrency, start_worker, tasks, emulator, in_flight, wait_until
):
    worker = start_worker("-P", pool, "-c", str(concurrency))
    tasks.send_apns.delay(TOKEN, "Hi").get(TIMEOUT)
    emulator.control("POST", "/faults", {"service": "apns", "delay": 3.0})
    pushes = [tasks.send_apns.delay(TOKEN, "Hi") for _ in range(concurrency)]
    in_flight(concurrency)
    processes = children(worker.process.pid)

    worker.process.send_signal(signal.SIGTERM)

    assert worker.process.wait(TIMEOUT) == 0, worker.log
    assert [push.get(1)["outcome"] for push in pushes] == ["accepted"] * concurrency
    assert emulator.control("GET", "/received/count") == {"count": concurrency + 1}
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    assert len(processes) >= (concurrency if pool == "prefork" else 0)
    wait_until(lambda: emulator.control("GET", "/stats")["apns"]["connections_open"] == 0)
