"""News about devices on their way from a provider's answer to the host, through real workers."""

import json
import time

import pytest

from pushtasks import feedback
from pushtasks.store import current_store

TOKEN = "ab" * 32
GONE = "cd" * 32
BAD = "ef" * 32
TIMEOUT = 30
MILLISECONDS = 1_700_000_000_000
SINCE = "2023-11-14T22:13:20+00:00"

#: A module of the host, as its worker imports it: what it hears of goes into files.
HOST = """
import json
import time
from pathlib import Path

from celery import shared_task

from pushtasks import signals


def write(name, value):
    with Path(name).open("a") as file:
        file.write(json.dumps(value) + "\\n")


def handler(entries):
    write("handler", entries)
    if Path("fail").exists():
        Path("fail").unlink()
        raise RuntimeError("the database is away")
    while Path("hang").exists():
        time.sleep(0.01)


@shared_task(name="host.on_feedback")
def on_feedback(entries):
    write("task", entries)


@signals.token_expired.connect
def expired(entry, **_):
    write("signal", entry)


@signals.mass_rejection.connect
def rejected(app, held, **_):
    write("alarm", [app, held])
"""


@pytest.fixture
def heard(tmp_path):
    """(name) → what the host has heard in this way."""

    def heard(name):
        path = tmp_path / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return heard


@pytest.fixture
def start_host(start_worker, tmp_path):
    """Start a worker that has the host's module, and its handler by each of the ways named."""
    (tmp_path / "host_module.py").write_text(HOST)
    (tmp_path / "celeryconfig.py").write_text('imports = ["host_module"]\n')

    def start(*ways, arguments=("-P", "threads", "-c", "4"), **more):
        settings = {
            "HANDLER": "host_module.handler",
            "HANDLER_TASK": "host.on_feedback",
            "HANDLER_QUEUE": "push",
        }
        chosen = {f"PUSHTASKS_FEEDBACK__{way}": settings[way] for way in ways}
        return start_worker(*arguments, PYTHONPATH=str(tmp_path), **chosen, **more)

    return start


@pytest.fixture
def gone(emulator):
    emulator.control(
        "PUT", f"/tokens/{GONE}", {"reason": "Unregistered", "timestamp": MILLISECONDS}
    )


def counters(host, provider="apns"):
    return current_store(host).report()[provider]["default"]


def test_a_dead_token_reaches_the_host_in_each_way_again_if_it_fails(
    start_host, tasks, host, gone, heard, wait_until, tmp_path
):
    (tmp_path / "fail").touch()
    ways = ("HANDLER", "HANDLER_TASK", "HANDLER_QUEUE")
    worker = start_host(*ways, arguments=("-P", "prefork", "-c", "2"))

    result = tasks.send_apns.delay(GONE, "Hi").get(TIMEOUT)

    wait_until(lambda: len(heard("handler")) == 2 and heard("task") and heard("signal"))
    [entry] = feedback.read("billing", celery_app=host)
    assert heard("handler") == [[entry.to_dict()]] * 2
    assert heard("task") == [[entry.to_dict()]]
    assert heard("signal") == [entry.to_dict()]
    assert (entry.token, entry.reason, entry.status) == (GONE, "Unregistered", 410)
    assert entry.to_dict()["dead_since"] == result["dead_since"] == SINCE
    assert "feedback.handler host_module.handler failed" in worker.log
    assert GONE not in worker.log


def test_a_worker_that_is_killed_while_the_host_has_news_in_hands_hands_them_on_again(
    start_host, tasks, gone, heard, wait_until, tmp_path
):
    (tmp_path / "hang").touch()
    patience = {"PUSHTASKS_VISIBILITY_TIMEOUT": "2"}
    killed = start_host("HANDLER", **patience)
    tasks.send_apns.delay(GONE, "Hi").get(TIMEOUT)
    wait_until(lambda: heard("handler"))

    killed.kill()
    (tmp_path / "hang").unlink()
    handed_out_again = time.monotonic() + 2.5
    # A worker looks for tasks of silent ones when it starts, and later every minute and a half.
    wait_until(lambda: time.monotonic() > handed_out_again)
    start_host("HANDLER", **patience)

    wait_until(lambda: len(heard("handler")) == 2)
    first, second = heard("handler")
    assert first == second


def test_bad_tokens_are_dead_until_they_are_too_many(
    start_host, tasks, emulator, host, heard, wait_until
):
    worker = start_host("HANDLER")
    tokens = [f"{number:064x}" for number in range(10)]
    for token in (*tokens, BAD):
        emulator.control("PUT", f"/tokens/{token}", {"reason": "BadDeviceToken"})

    tasks.send_apns_many.delay([TOKEN, TOKEN, BAD], "Hi").get(TIMEOUT)
    result = tasks.send_apns_many.delay(tokens, "Hi").get(TIMEOUT)

    assert result["rejected"] == 10
    wait_until(lambda: heard("alarm") and heard("handler"))
    assert heard("alarm") == [["default", 10]]
    assert "apns app 'default' (production): 11 of 13 pushes within 20 minutes" in worker.log
    [[entry]] = heard("handler")
    assert (entry["token"], entry["reason"], entry["dead_since"]) == (BAD, "BadDeviceToken", None)
    assert [entry.token for entry in feedback.read("billing", celery_app=host)] == [BAD]
    assert (counters(host)["held"], counters(host)["dead_tokens"]) == (10, 1)


def test_a_list_over_several_tries_is_counted_once(start_worker, tasks, emulator, host, gone):
    start_worker("-P", "threads", "-c", "2")
    busy = {"reason": "Shutdown", "times": 2}
    emulator.control("PUT", f"/tokens/{BAD}", busy)

    task = tasks.send_apns_many.delay([TOKEN, GONE, BAD, "nonsense"], "Hi")
    single = tasks.send_gcm.delay(["a", {"topic": "news"}], "Hi")
    single.get(TIMEOUT)
    result = task.get(TIMEOUT)

    assert (result["accepted"], result["rejected"]) == (2, 2)
    assert len(emulator.received()) == 7
    report = counters(host)
    assert {name: count for name, count in report.items() if count} == {
        "attempts": 4,
        "accepted": 2,
        "rejected": {"InvalidPush": 1, "Unregistered": 1},
        "dead_tokens": 1,
    }
    assert (counters(host, "gcm")["attempts"], counters(host, "gcm")["accepted"]) == (2, 2)
    assert [entry.token for entry in feedback.read("billing", celery_app=host)] == [GONE]


def test_a_token_that_is_known_to_be_dead_is_not_sent_to_until_it_is_forgotten(
    start_worker, settings, write_settings, tasks, emulator, host, gone
):
    settings["apns"]["default"]["skip_dead"] = True
    start_worker("-P", "threads", "-c", "2", **write_settings(settings))
    tasks.send_apns.delay(GONE, "Hi").get(TIMEOUT)

    single = tasks.send_apns.delay(GONE.upper(), "Hi").get(TIMEOUT)
    many = tasks.send_apns_many.delay([TOKEN, GONE], "Hi").get(TIMEOUT)

    for result in (single, many["failures"][0]):
        assert (result["outcome"], result["reason"], result["status"], result["action"]) == (
            "rejected",
            "KnownDead",
            None,
            "drop_token",
        )
        assert result["dead_since"] == SINCE
    assert many["accepted"] == 1
    assert [entry["token"] for entry in emulator.received()] == [GONE, TOKEN]
    assert len(feedback.read("billing", celery_app=host)) == 1
    assert counters(host)["rejected"] == {"KnownDead": 2, "Unregistered": 1}

    assert feedback.forget("apns", "default", [GONE], celery_app=host) == 1
    again = tasks.send_apns.delay(GONE, "Hi").get(TIMEOUT)
    assert again["reason"] == "Unregistered"
