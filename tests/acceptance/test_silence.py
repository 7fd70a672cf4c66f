"""A provider that falls silent: every task ends in time, and what comes after it goes through."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pushtasks.emulator import Endpoints

TOKEN = "ab" * 32
TIMEOUT = 90
#: Seconds of a try.
DEADLINE = 3.0
#: Seconds for Celery to show what has become of a try.
MARGIN = 1.5
#: Seconds of silence: of a stall, and of a process that is stopped.
STALL = 30.0 if "CI" in os.environ else 12.0
FREEZE = 30.0 if "CI" in os.environ else 5.0
#: Seconds within which a push after the silence is accepted.
SOON = 2.0


class Silence:
    """Sends while a provider is silent, and looks at what becomes of it."""

    def __init__(self, tasks, wait_until):
        self._tasks = tasks
        self._wait_until = wait_until
        self.sent = []

    def send(self, count):
        pushes = [self._tasks.send_apns.delay(TOKEN, "Hi") for _ in range(count)]
        self.sent += pushes
        return pushes

    def every_try_ends(self, pushes):
        """Wait until each is accepted or waits for its next try, which must not take long."""
        self._wait_until(
            lambda: all(push.state in {"RETRY", "SUCCESS"} for push in pushes), DEADLINE + MARGIN
        )

    def next_push_is_quick(self):
        started = time.monotonic()
        result = self._tasks.send_apns.delay(TOKEN, "Hi").get(TIMEOUT)
        assert result["outcome"] == "accepted"
        assert time.monotonic() - started < SOON

    def all_are_accepted(self):
        outcomes = {push.get(TIMEOUT)["outcome"] for push in self.sent}
        assert outcomes == {"accepted"}


@pytest.fixture
def silence(tasks, wait_until):
    return Silence(tasks, wait_until)


def wait_out(silence, since):
    """Let the silence last as long as it is meant to."""
    time.sleep(max(0.0, since + silence - time.monotonic()))


@pytest.mark.acceptance
@pytest.mark.timeout(240)
def test_tasks_end_in_time_while_connections_stall_and_others_are_used_afterwards(
    start_worker, settings, write_settings, emulator, silence, wait_until
):
    settings["apns"]["default"]["timeout"] = DEADLINE
    worker = start_worker("-P", "threads", "-c", "64", **write_settings(settings))
    silence.next_push_is_quick()

    emulator.control("POST", "/faults", {"service": "apns", "delay": 2.0})
    before = silence.send(20)
    wait_until(lambda: emulator.control("GET", "/stats")["apns"]["in_flight"] == 20)
    started = time.monotonic()
    emulator.control("POST", "/faults", {"service": "apns", "stall": True, "delay": 0})
    during = silence.send(20)
    silence.every_try_ends(before + during)
    assert {push.state for push in during} == {"RETRY"}
    wait_out(STALL, started)
    emulator.control("DELETE", "/faults")

    silence.next_push_is_quick()
    silence.all_are_accepted()
    assert "retry: Retry in" in worker.log
    assert "Traceback" not in worker.log


class FrozenEmulator:
    """An emulator that is a process of its own, so that it can be stopped and continued."""

    def __init__(self, directory):
        self.directory = directory
        command = Path(sys.executable).with_name("pushtasks")
        self.process = subprocess.Popen(  # noqa: S603
            [command, "emulator", "--dir", directory], stdout=subprocess.DEVNULL
        )

    def is_up(self):
        return (self.directory / "endpoints.json").exists()

    @property
    def endpoints(self):
        return Endpoints(**json.loads((self.directory / "endpoints.json").read_text()))

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.signal(signal.SIGCONT)
        self.process.terminate()
        assert self.process.wait(10) is not None


@pytest.fixture
def other_emulator(tmp_path, wait_until):
    emulator = FrozenEmulator(tmp_path / "other")
    wait_until(emulator.is_up)
    yield emulator
    emulator.stop()


@pytest.mark.acceptance
@pytest.mark.timeout(240)
def test_tasks_end_in_time_while_the_provider_is_frozen_and_go_through_afterwards(
    start_worker, settings_of, write_settings, other_emulator, silence
):
    settings = settings_of(other_emulator)
    settings["apns"]["default"]["timeout"] = DEADLINE
    start_worker("-P", "threads", "-c", "64", **write_settings(settings))
    silence.next_push_is_quick()

    started = time.monotonic()
    other_emulator.signal(signal.SIGSTOP)
    silence.every_try_ends(silence.send(20))
    wait_out(FREEZE, started)
    other_emulator.signal(signal.SIGCONT)

    silence.next_push_is_quick()
    silence.all_are_accepted()
