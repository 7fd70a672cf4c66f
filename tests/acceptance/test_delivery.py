"""Pushes through a real worker: results, retries, and what is shown of them."""

import json
import threading
import uuid
from contextlib import contextmanager

import pytest
from celery import chain, chord, group

from pushtasks import InvalidPush

TOKEN = "ab" * 32
GONE = "cd" * 32
BAD = "ef" * 32
TIMEOUT = 30


@contextmanager
def watching(host):
    """Watch Celery's events as Flower does; yields a function that waits for n successes."""
    seen = []
    enough = threading.Condition()

    def note(event):
        with enough:
            seen.append(event)
            enough.notify_all()

    def wait_for(count):
        def succeeded():
            return sum(event["type"] == "task-succeeded" for event in seen) >= count

        with enough:
            assert enough.wait_for(succeeded, TIMEOUT), seen
        return list(seen)

    with host.connection() as connection:
        receiver = host.events.Receiver(connection, handlers={"*": note})
        consumer = threading.Thread(target=lambda: receiver.capture(limit=None, timeout=TIMEOUT))
        consumer.start()
        host.control.enable_events(reply=True)
        yield wait_for
        receiver.should_stop = True
        consumer.join(TIMEOUT)


@pytest.fixture
def worker(start_worker):
    return start_worker("-P", "threads", "-c", "8")


def test_a_push_is_accepted_under_the_id_of_its_task(worker, tasks, emulator):
    task = tasks.send_apns.delay(TOKEN, {"aps": {"alert": "Hi"}, "order": 7})

    assert task.get(TIMEOUT) == {
        "version": 1,
        "provider": "apns",
        "app": "default",
        "token": TOKEN,
        "outcome": "accepted",
        "status": 200,
        "reason": None,
        "action": "none",
        "message_id": task.id,
        "canonical_id": None,
        "dead_since": None,
    }
    [received] = emulator.received()
    assert received["payload"] == {"aps": {"alert": "Hi"}, "order": 7}
    assert received["headers"]["apns-topic"] == "com.example.app"
    assert received["headers"]["apns-push-type"] == "alert"


def test_a_dead_token_comes_back_with_its_time(worker, tasks, emulator):
    script = {"reason": "Unregistered", "timestamp": 1_700_000_000_000}
    emulator.control("PUT", f"/tokens/{GONE}", script)

    result = tasks.send_apns.delay(GONE, "Hi").get(TIMEOUT)

    assert (result["outcome"], result["action"]) == ("rejected", "drop_token")
    assert result["dead_since"] == "2023-11-14T22:13:20+00:00"


def test_a_busy_provider_is_asked_again_when_it_wants_under_the_same_id(worker, tasks, emulator):
    script = {"reason": "ServiceUnavailable", "times": 2, "retry_after": 1}
    emulator.control("PUT", f"/tokens/{TOKEN}", script)

    task = tasks.send_apns.delay(TOKEN, "Hi")

    assert task.get(TIMEOUT)["outcome"] == "accepted"
    received = emulator.received()
    assert [entry["headers"]["apns-id"] for entry in received] == [task.id] * 3
    assert received[1]["at"] - received[0]["at"] >= 1.0
    assert received[2]["at"] - received[1]["at"] >= 1.0
    assert f"Task pushtasks.send_apns[{task.id}] retry: Retry in 1" in worker.log


def test_a_list_tries_only_those_again_that_need_it(worker, tasks, emulator):
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Unregistered", "timestamp": 1000})
    script = {"reason": "ServiceUnavailable", "times": 1, "retry_after": 1}
    emulator.control("PUT", f"/tokens/{BAD}", script)
    tokens = [TOKEN, GONE, BAD, "nonsense", [TOKEN, {"payload": "own", "priority": 5}]]

    result = tasks.send_apns_many.delay(tokens, "Hi").get(TIMEOUT)

    assert (result["accepted"], result["rejected"]) == (3, 2)
    assert [failure["token"] for failure in result["failures"]] == ["nonsense", GONE]
    received = emulator.received()
    assert [entry["token"] for entry in received].count(BAD) == 2
    assert len(received) == 5
    ids = [entry["headers"]["apns-id"] for entry in received if entry["token"] == BAD]
    assert ids[0] == ids[1]
    own = next(entry for entry in received if entry["payload"] == {"aps": {"alert": "own"}})
    assert own["headers"]["apns-priority"] == "5"


def test_a_list_at_google_keeps_its_order_over_tries(worker, tasks, emulator):
    emulator.control("PUT", "/tokens/gone", {"reason": "UNREGISTERED"})
    emulator.control("PUT", "/tokens/busy", {"reason": "UNAVAILABLE", "times": 1, "retry_after": 1})

    result = tasks.send_gcm.delay(["a", "busy", "gone", ""], {"data": {"n": 1}}).get(TIMEOUT)

    assert [one["outcome"] for one in result["results"]] == [
        "accepted",
        "accepted",
        "rejected",
        "rejected",
    ]
    assert [one["token"] for one in result["results"]] == ["a", "busy", "gone", ""]
    assert (result["success"], result["failure"]) == (2, 2)
    assert [entry["token"] for entry in emulator.received()].count("busy") == 2


def test_topics_conditions_and_installations_are_targets_like_any_id(worker, tasks, emulator):
    targets = [{"topic": "news"}, {"condition": "'a' in topics"}, {"fid": "f1"}]

    result = tasks.send_gcm_many.delay(targets, "Hi", dry_run=True).get(TIMEOUT)

    assert (result["accepted"], result["failures"]) == (3, [])


def test_a_wrong_argument_never_reaches_the_broker(worker, tasks, emulator):
    with pytest.raises(InvalidPush, match="3 digits"):
        tasks.send_apns.delay("abc", "Hi")

    assert emulator.received() == []


def test_a_wrong_argument_by_name_fails_in_the_worker_with_the_same_words(worker, host, emulator):
    task = host.send_task("pushtasks.send_apns", ["abc", "Hi"], queue="push")

    with pytest.raises(InvalidPush, match="3 digits"):
        task.get(TIMEOUT)


def test_no_call_by_name_however_wrong_ends_the_worker(worker, host, tasks, emulator):
    nested = TOKEN
    for _ in range(700):
        nested = [nested]
    wrong = [
        host.send_task("pushtasks.send_apns", kwargs={"": 1, "token": TOKEN}, queue="push"),
        host.send_task("pushtasks.send_apns", kwargs={"token": nested}, queue="push"),
        host.send_task("pushtasks.send_apns", [nested, "Hi"], queue="push"),
        host.send_task("pushtasks.send_apns", kwargs={"device_token": TOKEN}, queue="push"),
    ]

    for task in wrong:
        with pytest.raises(InvalidPush):
            task.get(TIMEOUT)
    assert tasks.send_apns.delay(TOKEN, "Hi").get(TIMEOUT)["outcome"] == "accepted"


def test_neither_token_nor_payload_is_shown_even_if_called_by_name(worker, host, tasks, emulator):
    with watching(host) as events:
        called = [
            host.send_task("pushtasks.send_apns", [TOKEN, "very secret"], queue="push"),
            tasks.send_apns.delay(TOKEN, "very secret"),
            tasks.send_apns_many.delay([TOKEN, GONE, "bad"], "very secret"),
            tasks.send_gcm.delay(["registration-id", ""], "very secret"),
        ]
        for task in called:
            task.get(TIMEOUT)
        succeeded = [event for event in events(len(called)) if event["type"] == "task-succeeded"]

    assert any("'token': 'ababab…'" in event["result"] for event in succeeded)
    shown = worker.log + json.dumps(succeeded) + json.dumps(events(0))
    assert "ababab…" in worker.log
    for secret in (TOKEN, "registration-id", "very secret"):
        assert secret not in shown


def test_tasks_work_in_groups_chains_and_chords(worker, tasks, emulator):
    push = tasks.send_apns.s(TOKEN, "Hi")

    assert [one["outcome"] for one in group(push, push)().get(TIMEOUT)] == ["accepted"] * 2
    outcomes = chain(push, tasks.send_gcm.si("id", "Hi"))().get(TIMEOUT)
    assert outcomes["provider"] == "gcm"
    last = chord([push, push], tasks.send_apns_many.si([TOKEN], "Hi"))().get(TIMEOUT)
    assert last["accepted"] == 1


def test_a_task_id_that_is_no_uuid_still_gives_one_apns_id(worker, tasks, emulator):
    task = tasks.send_apns.apply_async((TOKEN, "Hi"), task_id="order-4711")

    assert uuid.UUID(task.get(TIMEOUT)["message_id"])


def test_an_unknown_app_is_refused_by_a_worker_that_knows_the_others(worker, tasks):
    with pytest.raises(InvalidPush, match="app 'nope' is not in the apns settings"):
        tasks.send_apns.delay(TOKEN, "Hi", app="nope").get(TIMEOUT)


def test_a_pause_longer_than_the_brokers_patience_is_waited_out_in_pieces(
    start_worker, tasks, emulator
):
    start_worker("-P", "threads", "-c", "2", PUSHTASKS_VISIBILITY_TIMEOUT="2")
    script = {"reason": "ServiceUnavailable", "times": 1, "retry_after": 3}
    emulator.control("PUT", f"/tokens/{TOKEN}", script)

    assert tasks.send_apns.delay(TOKEN, "Hi").get(TIMEOUT)["outcome"] == "accepted"

    first, second = emulator.received()
    assert second["at"] - first["at"] >= 3.0
