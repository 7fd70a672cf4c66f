"""The installed command as relay, producers as gapless has them, workers, and a gateway.

At home the relay that is killed again and again has a tenth of the entries and not half of the
kills, for the time that they take.
"""

import base64
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter, deque
from pathlib import Path

import pytest
import redis

from pushtasks import feedback

COMMAND = str(Path(sys.executable).with_name("pushtasks"))
KEY = "push_queue"
#: Where the list is; broker and results of the workers are in 0 and 1.
DATABASE = 2
KILLS, COUNT = (10, 20_000) if "CI" in os.environ else (4, 2000)
BATCH = 20
PATIENCE = 30


class Running:
    """A relay in a process of its own."""

    def __init__(self, arguments, environ, directory):
        self.process = subprocess.Popen(  # noqa: S603
            [COMMAND, "relay", *map(str, arguments), "--json"],
            cwd=directory,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = deque(maxlen=5000)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        first = self.process.stdout.readline()
        assert first, self.log
        self.begun = json.loads(first)

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    @property
    def log(self):
        return "".join(self.lines)

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self):
        """End it kindly, and return the totals that it ends with."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0, self.log
        return json.loads(self.process.stdout.read())

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)
        self.process.stdout.close()
        self._reader.join(PATIENCE)
        self.process.stderr.close()


@pytest.fixture
def relay(environ, tmp_path):
    """(arguments) → a relay that has begun."""
    started = []

    def start(*arguments):
        running = Running(arguments, environ, tmp_path)
        started.append(running)
        return running

    yield start
    for running in started:
        running.close()


@pytest.fixture
def client(redis_server, environ):
    """The Redis of the list."""
    with redis.Redis(port=redis_server.port, db=DATABASE) as client:
        yield client


@pytest.fixture
def settings_file(emulator, redis_server, tmp_path):
    """(…keys) → gapless's settings file, its certificate beside it."""

    def write(**keys):
        folder = tmp_path / "gapless"
        folder.mkdir(exist_ok=True)
        for name in ("client.pem", "client-key.pem", "ca.pem"):
            shutil.copy(emulator.directory / name, folder / name)
        settings = {
            "apns_cert_path": "client.pem",
            "apns_key_path": "client-key.pem",
            "apns_server": emulator.endpoints.gateway,
            "redis_queue_key": KEY,
            "redis_port": redis_server.port,
            "redis_db": DATABASE,
            "ca_file": "ca.pem",
            **keys,
        }
        file = folder / "settings.json"
        file.write_text(json.dumps(settings))
        return file

    return write


def produce(client, token, text, **more):
    """Push an entry as gapless's sample does."""
    message = {"token": token, "data": {"aps": {"alert": text, "sound": "default"}}, **more}
    client.rpush(KEY, json.dumps(message))


def new_token():
    return uuid.uuid4().hex * 2


def workers_of(running):
    """Return the processes of a relay's own worker, as Linux lists them."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid="],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pairs = (line.split() for line in listing.splitlines())
    return [int(pid) for pid, parent in pairs if int(parent) == running.process.pid]


def is_running(pid):
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


# With gapless's settings alone ----------------------------------------------------------------


@pytest.mark.acceptance
def test_gapless_settings_alone_send_what_its_producers_push(
    relay, settings_file, client, host, redis_server, emulator, wait_until
):
    fine, bad, bare = new_token(), new_token(), new_token()
    emulator.control("PUT", f"/tokens/{bad}", {"reason": "InvalidToken"})
    running = relay(settings_file(log_successes=True))
    for number in range(50):
        produce(client, new_token(), "filler", identifier=100 + number, expiry=60)
    before = time.time()
    produce(client, fine, "Hi", identifier=1, expiry=60)
    produce(client, bad, "Hi", identifier=2, expiry=60, _gapless_RETRYING=2)
    produce(client, bare, "Hi")
    produce(client, fine, "x" * 300, identifier=4, expiry=60)
    wait_until(lambda: "identifier 0" in running.log and "identifier 2" in running.log)
    totals = running.stop()

    assert totals == {"handed_over": 53, "tasks": totals["tasks"], "dead": 1}
    assert f"identifier 1, device {fine[:6]}…: accepted" in running.log
    assert f"identifier 2, device {bad[:6]}…: rejected, InvalidToken" in running.log
    assert fine not in running.log
    received = {entry["token"]: entry for entry in emulator.received()}
    assert received[fine]["payload"] == {"aps": {"alert": "Hi", "sound": "default"}}
    assert received[fine]["frame"]["command"] == 1
    assert 58 < received[fine]["frame"]["expiration"] - before < 75
    assert 7198 < received[bare]["frame"]["expiration"] - before < 7215
    [letter] = map(json.loads, client.lrange(f"{KEY}:pushtasks:dead", 0, -1))
    assert "over the 256 that a binary gateway takes" in letter["reason"]
    host.conf.pushtasks = {"redis_url": redis_server.url(DATABASE)}
    [news] = feedback.read("billing", celery_app=host)
    assert (news.token, news.identifier, news.app) == (bad, 2, KEY)
    assert client.exists(KEY) == 0


@pytest.mark.acceptance
@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux has them")
def test_its_own_worker_is_replaced_if_it_dies_and_never_outlives_the_relay(
    relay, settings_file, client, emulator, wait_until
):
    running = relay(settings_file())
    produce(client, new_token(), "Hi")
    wait_until(lambda: len(emulator.received()) == 1)
    [first] = workers_of(running)
    environment = Path(f"/proc/{first}/environ").read_text()
    command = Path(f"/proc/{first}/cmdline").read_text()

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: "The worker has ended (status -9)" in running.log)
    produce(client, new_token(), "Hi")
    wait_until(lambda: len(emulator.received()) == 2)
    [second] = workers_of(running)
    running.kill()
    wait_until(lambda: not is_running(second))

    assert second != first
    for secret in ("PUSHTASKS_", "client-key.pem", "PRIVATE KEY"):
        assert secret not in environment + command


@pytest.mark.acceptance
def test_what_a_killed_worker_had_begun_is_done_by_the_next(
    relay, settings_file, client, emulator, wait_until
):
    emulator.control("POST", "/faults", {"service": "gateway", "stall": True})
    running = relay(settings_file())
    produce(client, new_token(), "Hi")
    begun = f"{KEY}:pushtasks:broker:unacked_index"
    wait_until(lambda: client.exists(begun))
    [worker] = workers_of(running)

    os.kill(worker, signal.SIGKILL)
    emulator.control("DELETE", "/faults")
    for task in client.zrange(begun, 0, -1):  # as if the visibility timeout were over
        client.zadd(begun, {task: 1})
    wait_until(lambda: len(emulator.received()) == 1, 40)


# With workers ---------------------------------------------------------------------------------


@pytest.mark.acceptance
def test_entries_are_handed_over_to_the_workers_apps(
    relay, settings_file, start_worker, client, redis_server, emulator, wait_until
):
    fine, gone, classic = new_token(), new_token(), new_token()
    emulator.control("PUT", f"/tokens/{gone}", {"reason": "Unregistered", "timestamp": 1000})
    worker = start_worker()
    before = time.time()
    modern = relay("--key", KEY, "--redis-url", redis_server.url(DATABASE), "--app", "default")
    produce(client, fine, "x" * 3000, identifier=1, expiry=60)
    produce(client, gone, "Hi", identifier="order 7", expiry=0)
    wait_until(lambda: "identifier 'order 7'" in worker.log)
    modern.stop()
    old = relay(settings_file(), "--app", "classic")
    produce(client, classic, "Hi", identifier=3, expiry=60)
    wait_until(lambda: len(emulator.received()) == 3)
    old.stop()

    received = {entry["token"]: entry for entry in emulator.received()}
    assert {token: entry["service"] for token, entry in received.items()} == {
        fine: "apns",
        gone: "apns",
        classic: "gateway",
    }
    assert 58 < int(received[fine]["headers"]["apns-expiration"]) - before < 75
    assert received[gone]["headers"]["apns-expiration"] == "0"
    assert f"identifier 'order 7', device {gone[:6]}…: rejected, Unregistered" in worker.log
    with redis.Redis(port=redis_server.port, db=1) as results:
        kept = [json.loads(results.get(key)) for key in results.scan_iter("celery-task-meta-*")]
    failures = [failure for one in kept for failure in one["result"]["failures"]]
    assert [(one["identifier"], one["token"]) for one in failures] == [("order 7", gone)]


@pytest.mark.acceptance
@pytest.mark.skipif(sys.platform != "linux", reason="reads the CPU time as Linux has it")
def test_a_relay_hands_over_five_thousand_entries_a_second(
    relay, client, redis_server, wait_until, report
):
    count = 20_000
    for start in range(0, count, 1000):
        numbers = range(start, start + 1000)
        data = {"aps": {"alert": "Hello", "badge": 1, "sound": "default"}, "order": 7}
        entries = [{"token": f"{n:064x}", "identifier": n, "data": data} for n in numbers]
        client.rpush(KEY, *map(json.dumps, entries))

    running = relay("--key", KEY, "--redis-url", redis_server.url(DATABASE))
    with report(f"relay, {count} entries into the broker", count) as line:
        before = cpu_seconds(running.process.pid)
        wait_until(lambda: client.exists(KEY) == 0)
        used = cpu_seconds(running.process.pid) - before
        line["CPU each"] = f"{used / count * 1e6:.0f} µs"
    running.stop()

    # Of processor time, since the processor is shared with others: twice what is promised.
    assert count / used > 10_000


@pytest.mark.acceptance
@pytest.mark.timeout(180)
def test_a_relay_that_is_killed_again_and_again_loses_nothing(
    relay, client, redis_server, wait_until, report
):
    arguments = ("--key", KEY, "--redis-url", redis_server.url(DATABASE), "--batch", BATCH)
    arguments += ("--lease", 1, "--window", COUNT)
    entries = [
        json.dumps({"token": f"{n:064x}", "identifier": n, "expiry": 60, "data": {"aps": {}}})
        for n in range(COUNT)
    ]
    slice_, held = COUNT // KILLS, 0
    with report(f"relay killed {KILLS} times among {COUNT} entries", COUNT) as line:
        for start in range(0, COUNT, slice_):
            running = relay(*arguments)
            client.rpush(KEY, *entries[start : start + slice_])
            left = random.randint(1, slice_ - 1)  # noqa: S311
            while client.llen(KEY) > left:
                assert running.process.poll() is None, running.log
                time.sleep(0.0005)
            running.kill()
            held += client.llen(f"{KEY}:pushtasks:held:{running.begun['relay']}")
        last = relay(*arguments)
        with redis.Redis(port=redis_server.port) as broker:
            wait_until(lambda: not any(client.scan_iter(f"{KEY}:pushtasks:held:*")))
            wait_until(lambda: client.exists(KEY) == 0)
            last.stop()
            handed_over = Counter(identifiers_in(broker))
        line["in the hands of the killed"] = held
        line["repeated"] = handed_over.total() - COUNT

    assert held, "none was killed at work"
    assert set(handed_over) == set(range(COUNT))
    assert handed_over.total() - COUNT <= KILLS * BATCH


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def identifiers_in(broker):
    """Yield the identifiers of all entries that wait in the broker."""
    for raw in broker.lrange("push.bulk", 0, -1):
        _, arguments, _ = json.loads(base64.b64decode(json.loads(raw)["body"]))
        yield from (own["identifier"] for _, own in arguments["tokens"])
