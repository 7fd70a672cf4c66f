"""Flower as operators have it: what they see of pushes, and what nobody must see.

Where SHOTS names a folder, the pages are kept there as pictures.
"""

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections import deque
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
VISIT = re.compile(r"Visit me at (http://\S+)")
TIMEOUT = 30
#: Flower switches events on every five seconds.
SOON = 20
PAYLOAD = {"aps": {"alert": "Your test result is here"}, "diagnosis": "none of their business"}
SECRETS = ("test result", "none of their business", "the account's own private key")


class Flower:
    """A running Flower."""

    def __init__(self, environ, directory):
        self.lines = deque(maxlen=500)
        self._visit = threading.Event()
        self._process = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-m", "celery", "-A", "pushtasks", "flower"),
                *("--address=127.0.0.1", "--port=0"),
            ],
            cwd=directory,
            env={**environ, "FLOWER_UNAUTHENTICATED_API": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.lines.append(line)
            if found := VISIT.search(line):
                self.url = found[1]
                self._visit.set()

    @property
    def log(self):
        return "".join(self.lines)

    def wait_until_ready(self):
        assert self._visit.wait(TIMEOUT), self.log
        return self

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=TIMEOUT) as response:  # noqa: S310
            return response.read().decode()

    def ask(self, path):
        return json.loads(self.get(path))

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT)
        finally:
            self._process.kill()
            self._reader.join(TIMEOUT)


@pytest.fixture
def flower(environ, tmp_path):
    flower = Flower(environ, tmp_path)
    try:
        yield flower.wait_until_ready()
    finally:
        flower.stop()


@pytest.fixture
def worker(start_worker, tmp_path):
    """A worker whose Celery settings hold a key in an unsuspicious place."""
    settings = {"gcm": {"inline": {"credentials": json.dumps({"private_key": SECRETS[2]})}}}
    (tmp_path / "celeryconfig.py").write_text(f"pushtasks = {settings!r}\n")
    return start_worker("-n", "flowered@test")


def id_of(task, *args, **kwargs):
    """Send a task and return its id; nobody fetches its result."""
    return task.apply_async(args, kwargs, ignore_result=True).id


class Pushes:
    """Pushes that ended in each way, by what they show."""

    def __init__(self, tasks, emulator):
        self.tokens = [uuid.uuid4().hex * 2 for _ in range(20)]
        accepted, rejected, waiting, *listed = self.tokens
        emulator.control("PUT", f"/tokens/{rejected}", {"reason": "Unregistered"})
        emulator.control("PUT", f"/tokens/{waiting}", {"reason": "InternalServerError"})
        apns, apns_many, gcm = tasks.send_apns, tasks.send_apns_many, tasks.send_gcm
        self.accepted = id_of(apns, accepted, PAYLOAD)
        self.rejected = id_of(apns, rejected, PAYLOAD)
        self.waiting = id_of(apns, waiting, PAYLOAD)
        self.failed = id_of(gcm, self.tokens[3], "test result", app="inline")
        self.listed = id_of(apns_many, [rejected, *listed], PAYLOAD)
        self.google = id_of(gcm, self.tokens[3:5], {"data": {"a": SECRETS[1]}})

    @property
    def states(self):
        ended = (self.accepted, self.rejected, self.listed, self.google)
        return {self.waiting: "RETRY", self.failed: "FAILURE"} | dict.fromkeys(ended, "SUCCESS")

    def check_hidden(self, text):
        """Check that something shown has no token and no payload."""
        shown = [secret for secret in (*self.tokens, *SECRETS) if secret in text]
        assert not shown


@pytest.fixture
def pushes(worker, flower, listen, host, tasks, emulator, wait_until):
    """Pushes that Flower knows the end of; it has switched the worker's events on by itself."""

    def known():
        # What is retried is soon received again, to wait in the worker for its time.
        return {
            id_: "RETRY" if task["retried"] else task["state"]
            for id_, task in flower.ask("/api/tasks").items()
        }

    listener = listen(host)
    wait_until(lambda: id_of(tasks.send_apns, "ab" * 32, "Hi") and listener.of_pushes, SOON)
    # Flower switches events on, and begins to listen, at two moments of its own.
    wait_until(lambda: id_of(tasks.send_apns, "ab" * 32, "Hi") and "SUCCESS" in known().values())
    pushes = Pushes(tasks, emulator)
    wait_until(lambda: pushes.states.items() <= known().items(), 60)
    return pushes


@pytest.mark.acceptance
def test_flower_tells_of_tasks_and_workers_by_its_api(pushes, flower, host):
    rejected = flower.ask(f"/api/task/info/{pushes.rejected}")
    listed = flower.ask(f"/api/task/info/{pushes.listed}")
    failed = flower.ask(f"/api/task/info/{pushes.failed}")
    workers = flower.ask("/api/workers?refresh=1")
    stats = workers["flowered@test"]

    token = pushes.tokens[1][:6] + "…"
    assert rejected["name"] == "pushtasks.send_apns"
    assert rejected["worker"] == "flowered@test"
    assert rejected["kwargs"] == f"{{'token': '{token}', 'payload': <payload>, 'app': 'default'}}"
    assert f"'token': '{token}', 'outcome': 'rejected', 'status': 410" in rejected["result"]
    assert listed["kwargs"].startswith("{'tokens': <18 devices>, 'payload': <payload>")
    assert "'accepted': 17, 'rejected': 1" in listed["result"]
    assert "gcm.inline" in failed["exception"]
    assert stats["stats"]["total"]["pushtasks.send_apns"] >= 3
    assert {queue["name"] for queue in stats["active_queues"]} >= {"push", "push.bulk"}
    assert "gcm.inline" in stats["conf"]["pushtasks"]
    pushes.check_hidden(json.dumps([workers, flower.ask("/api/tasks")], ensure_ascii=False))
    [scheduled] = host.control.inspect().scheduled().values()
    assert {task["request"]["id"] for task in scheduled} >= {pushes.waiting}
    pushes.check_hidden(json.dumps(scheduled, ensure_ascii=False))
    metrics = flower.get("/metrics")
    assert 'type="task-succeeded"' in metrics
    assert 'type="push' not in metrics  # of other groups than its own it makes nothing
    assert "rror" not in flower.log


@pytest.fixture
def page(tmp_path):
    """A page of a headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        because = f"needs {CHROMIUM}: apt-get install chromium"
        pytest.fail(because) if "CI" in os.environ else pytest.skip(because)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        browser.close()


@pytest.mark.acceptance
def test_flowers_pages_show_pushes_and_no_token_or_payload(pushes, flower, page, tmp_path):
    shots = Path(os.environ.get("SHOTS") or tmp_path)
    shown = {}

    def look(name, path, expected):
        page.goto(flower.url + path)
        page.get_by_text(expected).first.wait_for()
        page.screenshot(path=shots / f"flower-{name}.png", full_page=True)
        shown[name] = page.content()

    look("workers", "/", "flowered@test")
    look("tasks", "/tasks", pushes.accepted)
    look("broker", "/broker", "push.bulk")
    for name in ("accepted", "rejected", "waiting", "failed", "listed", "google"):
        look(f"task-{name}", f"/task/{getattr(pushes, name)}", "pushtasks.send_")
    look("worker", "/worker/flowered@test", "Worker pool")
    for tab, expected in (("Tasks", pushes.waiting), ("Config", "worker_prefetch_multiplier")):
        page.get_by_role("tab", name=tab).click()
        page.locator(".tab-pane.active.show").get_by_text(expected).first.wait_for()
        page.screenshot(path=shots / f"flower-worker-{tab.lower()}.png", full_page=True)

    assert "410" in shown["task-rejected"]
    assert "InternalServerError" in shown["task-waiting"]
    for content in shown.values():
        pushes.check_hidden(content)
