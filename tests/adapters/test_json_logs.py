"""Logs with an object in each line."""

import io
import json
import logging
from datetime import datetime

import pytest

from pushtasks import observers
from pushtasks.adapters import json_logs
from pushtasks.observers import End, Ended, Kind, RejectedLate, Tried


@pytest.fixture
def written():
    """() → the lines so far of a log that Celery has set up and that is written as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    before = observers.registered
    parent, level = logging.getLogger("pushtasks"), logging.getLogger("pushtasks").level
    parent.addHandler(handler)
    parent.setLevel(logging.INFO)
    json_logs.begin(parent)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    parent.setLevel(level)
    parent.removeHandler(handler)
    for observer in set(observers.registered) - set(before):
        observers.unregister(observer)


@pytest.fixture
def log(written):
    """What writes to that log."""
    return logging.getLogger("pushtasks.somebody")


def test_a_line_tells_when_who_and_what(log, written):
    log.warning("Gateway %s: %d lost\nfor good", "host:1", 3)

    [line] = written()
    assert datetime.fromisoformat(line.pop("time")).utcoffset().total_seconds() == 0
    assert line.pop("process") > 0
    assert line == {
        "level": "warning",
        "logger": "pushtasks.somebody",
        "message": "Gateway host:1: 3 lost\nfor good",
    }


def test_an_exception_stays_in_its_line(log, written):
    try:
        int("no number")
    except ValueError:
        log.exception("It failed")

    [line] = written()
    assert line["error"].startswith("Traceback")
    assert line["error"].endswith("'no number'")


def test_of_what_celery_says_of_a_task_arguments_are_left_out(log, written):
    data = {"id": "4f", "name": "pushtasks.send_apns", "runtime": 0.5, "args": "('secret',)"}
    log.info("Task succeeded", extra={"data": data})

    [line] = written()
    assert (line["task"], line["task_id"]) == ("pushtasks.send_apns", "4f")
    assert line["seconds"] == 0.5
    assert "secret" not in json.dumps(line)


def test_what_json_does_not_know_is_spelled_out(log, written):
    log.info("x", extra={json_logs.FIELDS: {"what": {1, 2}}})

    assert written()[0]["what"] == "{1, 2}"


def test_a_single_push_is_a_line(written):
    ends = (Ended(End.REJECTED, 1, "Unregistered", 410),)
    observers.tell(
        Tried("apns", "default", "sandbox", Kind.SINGLE, ends, token="ababab…", seconds=0.2)
    )

    [line] = written()
    assert {name: line[name] for name in line.keys() - {"time", "process"}} == {
        "level": "info",
        "logger": "pushtasks.pushes",
        "message": "push",
        "provider": "apns",
        "app": "default",
        "environment": "sandbox",
        "kind": "single",
        "tries": 0,
        "seconds": 0.2,
        "token": "ababab…",
        "outcome": "rejected",
        "count": 1,
        "reason": "Unregistered",
        "status": 410,
    }


def test_a_chunk_is_a_line_with_counts(written):
    ends = (
        Ended(End.ACCEPTED, 497),
        Ended(End.REJECTED, 2, "UNREGISTERED", 404),
        Ended(End.REJECTED, 1, "INVALID_ARGUMENT", 400),
    )
    observers.tell(Tried("gcm", "default", "", Kind.CHUNK, ends, fanout="f00", chunk=3))

    [line] = written()
    assert line["outcomes"] == {"accepted": 497, "rejected": 3}
    assert line["reasons"] == {"UNREGISTERED": 2, "INVALID_ARGUMENT": 1}
    assert (line["fanout"], line["chunk"]) == ("f00", 3)
    assert "environment" not in line


def test_a_late_rejection_is_a_warning(written):
    observers.tell(RejectedLate("apns", "classic", "InvalidToken", "ababab…"))

    [line] = written()
    assert (line["level"], line["reason"], line["token"]) == ("warning", "InvalidToken", "ababab…")


def test_begun_twice_it_logs_once(written):
    json_logs.begin(logging.getLogger("celery.task"))
    observers.tell(RejectedLate("apns", "classic", "InvalidToken", "ababab…"))

    assert len(written()) == 1
