"""One provider token for a team, however many processes send."""

import os
import time

import pytest

from pushtasks.apns.auth import CLOCK_MARGIN, SLOT

TIMEOUT = 30
#: Seconds between the start of one worker and of the next.
LATER = 60.0 if "CI" in os.environ else 10.0
TOKENS = [f"{number:064x}" for number in range(4)]


def slot():
    """Return which provider token it is the time of."""
    return (time.time() - CLOCK_MARGIN) // SLOT


@pytest.fixture
def push(tasks, emulator, wait_until):
    """(queue, processes) → a push out of each of so many processes, none of which has sent yet."""

    def of_each(queue, processes):
        opened = emulator.control("GET", "/stats")["apns"]["connections_opened"]
        pushes = []

        def have_all_sent():
            pushes.extend(
                tasks.send_apns.apply_async((token, "Hi"), queue=queue) for token in TOKENS
            )
            for one in pushes:
                assert one.get(TIMEOUT)["outcome"] == "accepted"
            stats = emulator.control("GET", "/stats")["apns"]
            return stats["connections_opened"] == opened + processes

        wait_until(have_all_sent)

    return of_each


@pytest.mark.acceptance
@pytest.mark.timeout(240)
def test_children_and_a_worker_started_later_present_the_same(start_worker, push, emulator):
    emulator.control("POST", "/faults", {"service": "apns", "delay": 0.2})

    def tokens_seen():
        emulator.control("DELETE", "/stats")
        first = start_worker("-P", "prefork", "-c", "2", "-n", "first@%h")
        push("push", 2)
        time.sleep(LATER)
        second = start_worker("-P", "threads", "-c", "2", "-n", "second@%h", "-Q", "second")
        push("second", 1)
        first.stop()
        second.stop()
        return emulator.control("GET", "/stats")["apns"]["provider_tokens"]

    began_in = slot()
    seen = tokens_seen()
    if slot() != began_in:  # in between came the time of the next one
        seen = tokens_seen()
    assert seen == 1
