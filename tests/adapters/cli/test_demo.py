import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pushtasks.adapters.cli import demo
from pushtasks.adapters.cli.rehearsal import Performed, Rehearsal
from pushtasks.adapters.cli.scenario import forgotten, scenario
from pushtasks.news import Entry, Kind

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


@pytest.fixture(scope="module")
def steps():
    return scenario(datetime.now(UTC))


@pytest.fixture
def misleading(tmp_path):
    """Settings of the user's that have nothing to do with the demo."""
    (tmp_path / "pushtasks.toml").write_text("[apns.default]\ntopic = 3\n")
    (tmp_path / "celeryconfig.py").write_text("broker_url = 'redis://nobody:1/0'\n")
    return {"CELERY_BROKER_URL": "redis://nobody:1/0", "PUSHTASKS_NOPE": "1"}


def result(device):
    return {
        "provider": "apns",
        "token": device.token,
        "outcome": device.outcome.value,
        "reason": device.reason,
        "dead_since": "2026-11-20T00:00:00+00:00" if device.is_dated else None,
        "canonical_id": device.canonical_id,
    }


def told(token):
    """Return an entry of the feedback stream."""
    return Entry(Kind.EXPIRED, "apns", "default", token, datetime.now(UTC), id="1-0")


def report():
    return {"apns": {}, "gcm": {}, "stream": {}}


def performed(step):
    """Return a step that went as scripted."""
    results = [result(device) for device in step.devices]
    if not step.is_list:
        return Performed(step, results[0], None)
    if not step.task.endswith("_many"):
        return Performed(step, {"results": results}, None)
    failures = [one for one in results if one["outcome"] != "accepted"]
    return Performed(step, {"accepted": len(results) - len(failures), "failures": failures}, None)


def rehearsal(everything, steps):
    tries = {device.token: device.tries for step in steps for device in step.devices}
    news = [device.token for step in steps for device in step.devices if device.is_news]
    entries = tuple(told(token) for token in [*news, forgotten()])
    connections = {"apns": 1, "fcm": 1}
    return Rehearsal(
        tuple(everything), tries, {}, 1.0, connections, {"apps": []}, report(), entries
    )


def test_in_a_terminal_it_shows_every_outcome_within_80_columns(terminal, misleading):
    running = terminal("demo", NO_COLOR="1", **misleading)

    assert running.wait() == 0
    assert not COLOUR.search(running.text)
    lines = ESCAPE.sub("", running.text).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if line.strip()]
    outcomes = [" ".join(row[1:4]) for row in rows if row[0].endswith("…")]
    assert outcomes[:4] == [
        "APNs accepted nothing",
        "APNs rejected Unregistered",
        "APNs rejected BadDeviceToken",
        "APNs accepted, 2nd",
    ]
    assert outcomes[4:9] == [
        "FCM accepted nothing",
        "FCM rejected UNREGISTERED",
        "FCM accepted nothing",
        "FCM rejected UNREGISTERED",
        "FCM accepted nothing",
    ]
    assert ["500", "devices", "APNs", "498", "accepted", "nothing"] in rows
    text = " ".join(word for row in rows for word in row)
    assert re.search(r"since \d\d \w+ \d\d:\d\d UTC\)", text)
    assert re.search(r"519 pushes in [\d.]+ s; connections that the worker opened: APNs 1", text)
    assert ["6", "devices", "APNs", "5", "accepted", "nothing"] in rows
    assert "store the new id instead" in text
    assert "apns.classic: 1 gone (feedback service)" in text
    assert "is now h8Rene…" in text
    assert "Feedback, dead since" in text
    assert "1 rejected: NotRegistered" in text


def test_a_rehearsal_as_scripted_differs_in_nothing(steps):
    assert rehearsal(map(performed, steps), steps).differences() == []


@pytest.mark.parametrize("number", range(10))
def test_whatever_differs_is_told(number, steps):
    everything = [performed(step) for step in steps]
    everything[number] = Performed(steps[number], None, "PushNotSent: busy")

    [line] = rehearsal(everything, steps).differences()

    assert line == f"{steps[number].call}: PushNotSent: busy"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"outcome": "rejected"}, "outcome 'rejected' instead of 'accepted'"),
        ({"reason": "Shutdown"}, "reason 'Shutdown' instead of None"),
        ({"dead_since": "2026-11-20T00:00:00+00:00"}, "dead_since given True instead of False"),
    ],
)
def test_a_device_that_fares_otherwise_is_told(change, told, steps):
    everything = [performed(step) for step in steps]
    everything[0] = Performed(steps[0], {**everything[0].result, **change}, None)

    [line] = rehearsal(everything, steps).differences()

    assert line.endswith(told)


def test_a_push_that_was_not_tried_again_is_told(steps):
    seen = rehearsal(map(performed, steps), steps)
    busy = steps[3].devices[0]

    [line] = replace(seen, tries={**seen.tries, busy.token: 1}).differences()

    assert line.endswith("tries 1 instead of 2")


def test_a_failure_that_the_bulk_task_does_not_name_is_told(steps):
    everything = [performed(step) for step in steps]
    bulk = everything[7].result
    changed = {**bulk, "accepted": 499, "failures": bulk["failures"][1:]}
    everything[7] = Performed(steps[7], changed, None)

    missing, count = rehearsal(everything, steps).differences()

    assert missing.endswith("missing")
    assert count.endswith("499 accepted instead of 498")


def test_news_that_are_missing_are_told(steps):
    seen = rehearsal(map(performed, steps), steps)

    first, *_, last = replace(seen, news=()).differences()
    [failed] = replace(seen, polled=None).differences()

    assert first.startswith("feedback stream, device 78dde6")
    assert last == f"poll_feedback, device {forgotten()[:6]}: missing"
    assert failed == "poll_feedback: it failed"


def test_json_has_every_result_and_what_differs(steps):
    seen = rehearsal(map(performed, steps), steps)

    document = json.loads(json.dumps(demo.document(seen, ["a line"])))

    assert (document["ok"], document["differences"], document["pushes"]) == (False, ["a line"], 519)
    assert [call["call"] for call in document["calls"]] == [step.call for step in steps]
    assert document["calls"][3]["tries"] == {steps[3].devices[0].token: 2}
