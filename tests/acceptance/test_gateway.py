"""10,000 pushes over the binary gateway, one in a hundred refused: nothing is lost, nothing twice.

A refusal costs everything that was written after it. The gateway of these tests sends some refusals
later than silence counts as acceptance, so some reach their tasks and others come late.
"""

import os
import uuid
from collections import Counter

import pytest

from pushtasks import feedback

TIMEOUT = 240
#: At home a tenth, for the time that it takes.
COUNT = 10_000 if "CI" in os.environ else 2000
SINGLES = COUNT // 2
SLICE = 250
#: Seconds of silence that count as acceptance, and until the gateway says what it refuses.
SILENCE = 0.25
DELAY = 0.2


def tokens(count):
    """Return device tokens that no other test has seen."""
    start = uuid.uuid4().int
    return [f"{(start + n) % 2**128:064x}" for n in range(count)]


@pytest.fixture
def late(host):
    """() → the device tokens that the feedback stream has called refused late so far."""
    found = []

    def read():
        while batch := feedback.read("late", count=1000, celery_app=host):
            found.extend(entry.token for entry in batch if entry.kind == "rejected_late")
            batch.ack()
        return found

    return read


@pytest.fixture
def classic(emulator, settings, write_settings):
    """(…settings) → the environment of a worker whose app `classic` goes by them."""

    def make(**values):
        settings["apns"]["classic"].update(values)
        return write_settings(settings)

    return make


def refuse_one_in_a_hundred(emulator, devices):
    bad = devices[50::100]
    for token in bad:
        emulator.control("PUT", f"/tokens/{token}", {"reason": "InvalidToken"})
    return set(bad)


def account(wait_until, emulator, devices, bad, rejected, late):
    """Check that each device is accounted for, once; return what may be shown."""
    # What the last refusal cost is still being sent again, for tasks that are over.
    wait_until(lambda: emulator.control("GET", "/received/count")["count"] >= len(devices))
    answers = [(entry["token"], entry["answer"]["reason"]) for entry in emulator.received()]
    accepted = Counter(token for token, reason in answers if reason is None)

    assert set(accepted) == set(devices) - bad
    assert set(accepted.values()) == {1}
    assert Counter(rejected) + Counter(late) == Counter(bad)
    return {"accepted": len(accepted), "rejected": len(rejected), "late": len(late)}


@pytest.mark.acceptance
@pytest.mark.timeout(300)
@pytest.mark.parametrize("confirm", ["silence", "sentinel"])
def test_lists_over_prefork_processes(
    confirm, start_worker, tasks, emulator, classic, late, wait_until, report
):
    devices = tokens(COUNT)
    bad = refuse_one_in_a_hundred(emulator, devices)
    emulator.control("POST", "/faults", {"service": "gateway", "delay": DELAY, "times": 20})
    start_worker("-P", "prefork", "-c", "4", **classic(assume_sent=SILENCE, confirm=confirm))

    slices = [devices[n : n + SLICE] for n in range(0, COUNT, SLICE)]
    with report(f"gateway, prefork 4, {COUNT} in lists of {SLICE}, {confirm}", COUNT) as line:
        sent = [tasks.send_apns_many.delay(one, "Hi", app="classic") for one in slices]
        results = [result.get(TIMEOUT) for result in sent]
        stats = emulator.control("GET", "/stats")["gateway"]

        failures = [one for result in results for one in result["failures"]]
        assert {(one["status"], one["reason"]) for one in failures} <= {(8, "InvalidToken")}
        assert sum(result["not_sent"] + result["maybe_sent"] for result in results) == 0
        rejected = [one["token"] for one in failures]
        wait_until(lambda: len(rejected) + len(late()) == len(bad))
        line.update(account(wait_until, emulator, devices, bad, rejected, late()))
        line["connections"] = stats["connections_opened"]
        line["thrown away"] = stats["discarded"]


@pytest.mark.acceptance
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("pool", "concurrency"), [("threads", "64"), ("gevent", "100")])
def test_single_pushes_over_one_process(
    pool, concurrency, start_worker, tasks, emulator, classic, late, wait_until, report
):
    devices = tokens(SINGLES)
    bad = refuse_one_in_a_hundred(emulator, devices)
    emulator.control("POST", "/faults", {"service": "gateway", "delay": DELAY})
    # Shorter than the gateway takes to refuse: every refusal comes late.
    start_worker("-P", pool, "-c", concurrency, **classic(assume_sent=DELAY / 4))

    with report(f"gateway, {pool} {concurrency}, {SINGLES} singles", SINGLES) as line:
        sent = [tasks.send_apns.delay(token, "Hi", app="classic") for token in devices]
        results = [result.get(TIMEOUT) for result in sent]
        stats = emulator.control("GET", "/stats")["gateway"]

        assert {result["outcome"] for result in results} <= {"accepted", "rejected"}
        rejected = [one["token"] for one in results if one["outcome"] == "rejected"]
        wait_until(lambda: len(rejected) + len(late()) == len(bad))
        line.update(account(wait_until, emulator, devices, bad, rejected, late()))
        line["connections"] = stats["connections_opened"]
        line["thrown away"] = stats["discarded"]
