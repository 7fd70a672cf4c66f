"""`celery -A pushtasks beat` as it comes, on a day on which feedback is due."""

import json
import subprocess
import sys

import pytest
import redis

pytestmark = pytest.mark.acceptance

TOKEN = "ab" * 32
#: A schedule file as a beat leaves it that has been away for two days.
AWAY = """
import sys
from datetime import timedelta
from celery.beat import PersistentScheduler
from pushtasks.celery import app

scheduler = PersistentScheduler(app, schedule_filename=sys.argv[1])
scheduler.schedule["pushtasks.poll_feedback"].last_run_at -= timedelta(days=2)
scheduler.close()
"""
SENDS = "Sending due task pushtasks.poll_feedback"


@pytest.fixture
def start_beat(environ, tmp_path):
    """(name) → the log of a beat that has been away, with a schedule file of its own."""
    started = []

    def start(name):
        schedule, log = tmp_path / name, tmp_path / f"{name}.log"
        options = {"cwd": tmp_path, "env": environ}
        subprocess.run([sys.executable, "-c", AWAY, schedule], check=True, timeout=30, **options)  # noqa: S603
        command = ["-m", "celery", "-A", "pushtasks", "beat", "-l", "info", "--pidfile="]
        with log.open("w") as file:
            beat = subprocess.Popen(  # noqa: S603
                [sys.executable, *command, "--schedule", schedule],
                stdout=file,
                stderr=subprocess.STDOUT,
                **options,
            )
        started.append(beat)
        return log

    yield start
    for beat in started:
        beat.terminate()
    for beat in started:
        beat.wait(20)


@pytest.mark.parametrize("beats", [["one"], ["one", "two"]])
def test_feedback_is_polled_once_however_many_beats_call_for_it(
    beats, emulator, start_worker, start_beat, wait_until, redis_server
):
    emulator.control("POST", "/feedback", {"token": TOKEN, "timestamp": 1_400_000_000})
    worker = start_worker("--without-mingle", "-c", "4")
    emulator.control("DELETE", "/stats")

    logs = [start_beat(name) for name in beats]

    wait_until(lambda: all(log.read_text().count(SENDS) == 1 for log in logs))
    wait_until(lambda: worker.log.count("succeeded") == len(beats))
    assert emulator.control("GET", "/stats")["feedback"]["connections_opened"] == 1
    assert worker.log.count("nothing to do") == len(beats) - 1
    assert "'app': 'classic', 'source': 'feedback service', 'found': 1" in worker.log
    assert TOKEN not in worker.log
    with redis.Redis(port=redis_server.port, db=1) as client:
        [(_, fields)] = client.xrange("pushtasks:feedback")
    assert json.loads(fields[b"news"])["token"] == TOKEN
