"""Metrics of whole workers of every pool, read over HTTP as Prometheus reads them."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

LISTEN = "PUSHTASKS_METRICS__LISTEN"
ANY = {LISTEN: "127.0.0.1:0"}
GONE = "ef" * 32
PATIENT = "CI" in os.environ
LIST = 500
SINGLES = 40


class Page:
    """What a worker shows, as samples by name and labels."""

    def __init__(self, url):
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            self.content_type = answer.headers["Content-Type"]
            self.text = answer.read().decode()
        self.families = {f.name: f for f in text_string_to_metric_families(self.text)}

    def value(self, name, **labels):
        """Return the sum of all samples of this name that have these labels."""
        return sum(
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def metrics_url(worker, wait_until):
    wait_until(lambda: "Metrics are at" in worker.log)
    return re.search(r"Metrics are at (\S+)", worker.log)[1]


@pytest.fixture
def start_measured(start_worker, wait_until):
    """(arguments …) → a worker, and a function that reads its metrics."""

    def start(*arguments, **more):
        worker = start_worker(*arguments, **{**ANY, **more})
        url = metrics_url(worker, wait_until)
        return worker, lambda: Page(url)

    return start


def folders():
    return set(Path(tempfile.gettempdir()).glob("pushtasks-metrics-*"))


@pytest.mark.acceptance
@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_a_worker_of_every_pool_tells_what_it_does(
    pool, start_measured, tasks, emulator, wait_until, check_metrics
):
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Unregistered"})
    _, read = start_measured("-P", pool, "-c", "2")
    single = [tasks.send_apns.delay(f"{n:064x}", "Hi") for n in range(SINGLES)]
    many = tasks.send_apns_many.delay([GONE, *(f"{n:064x}" for n in range(LIST))], "Hi")
    listed = tasks.send_gcm.delay(["one", "two", "three"], "Hi")
    for result in (*single, many, listed):
        result.get(60)

    wait_until(lambda: read().value("pushtasks_streams") == 0)
    page = read()

    pushes = "pushtasks_pushes_total"
    apns = {"provider": "apns", "app": "default"}
    assert page.value(pushes, **apns, outcome="accepted", reason="") == SINGLES + LIST
    assert page.value(pushes, **apns, outcome="rejected", reason="Unregistered") == 1
    assert page.value(pushes, provider="gcm", outcome="accepted") == 3
    assert page.value(pushes) == SINGLES + LIST + 4
    assert page.value("pushtasks_pushes_in_flight") == 0
    assert page.value("pushtasks_send_seconds_count", kind="single") == SINGLES
    assert page.value("pushtasks_send_seconds_count", kind="list") == 2
    assert page.value("pushtasks_answer_seconds_count") == SINGLES + LIST + 4
    processes = 2 if pool == "prefork" else 1
    server = emulator.endpoints.apns.removeprefix("https://")
    assert 1 <= page.value("pushtasks_connections", server=server) <= processes
    assert 60 <= page.value("pushtasks_provider_token_age_seconds") <= 42 * 60
    expiry = page.value("pushtasks_certificate_expiry_timestamp_seconds", app="classic")
    assert expiry > time.time()
    assert page.content_type.startswith("text/plain")
    assert GONE[:7] not in page.text
    check_metrics(page.text)
    for family in page.families.values():
        assert family.documentation, family.name
        assert family.type != "unknown", family.name


@pytest.mark.acceptance
def test_what_killed_processes_have_counted_is_kept_and_their_files_are_not(
    start_measured, tasks, wait_until
):
    worker, read = start_measured("-P", "prefork", "-c", "2")
    [folder] = [f for f in folders() if f.name.split("-")[2] == str(worker.process.pid)]

    for n in range(8):
        tasks.send_apns.delay(f"{n:064x}", "Hi").get(30)
    children = _children_of(worker.process.pid)
    for child in children:
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: not children & _pids_of(folder, read))

    page = read()
    assert page.value("pushtasks_pushes_total", outcome="accepted") == 8
    assert page.value("pushtasks_answer_seconds_count") == 8
    assert page.value("pushtasks_connections") == 0  # those of the dead are closed
    assert {file.name for file in folder.glob("*")} == {"counter_0.db", "histogram_0.db"}
    tasks.send_apns.delay("ab" * 32, "Hi").get(30)
    assert read().value("pushtasks_pushes_total", outcome="accepted") == 9

    worker.stop()
    assert not folder.exists()


def _children_of(pid):
    command = ["ps", "-o", "pid=", "--ppid", str(pid)]
    listed = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    return {int(line) for line in listed.stdout.split()}


def _pids_of(folder, read):
    """Return whose files there are when the metrics have been read once more."""
    read()
    return {int(file.stem.rpartition("_")[2]) for file in folder.glob("*.db")}


@pytest.mark.acceptance
def test_a_goaway_a_failure_and_a_retry_are_counted(
    start_measured, tasks, emulator, write_settings, settings, wait_until
):
    settings["apns"]["default"]["retries"] = 1
    settings["apns"]["broken"] = {**settings["apns"]["default"], "key": "/nowhere/key.p8"}
    _, read = start_measured("-P", "threads", "-c", "4", **write_settings(settings))
    emulator.control("POST", "/faults", {"service": "apns", "goaway_every": 100})
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Shutdown"})

    tasks.send_apns_many.delay([f"{n:064x}" for n in range(LIST)], "Hi").get(60)
    assert tasks.send_apns.delay(GONE, "Hi").get(60, propagate=False)
    assert tasks.send_apns.delay(GONE, "Hi", app="broken").get(60, propagate=False)

    wait_until(lambda: read().value("pushtasks_task_failures_total") == 2)
    page = read()
    assert page.value("pushtasks_goaways_total") >= 3
    assert page.value("pushtasks_pushes_total", outcome="retried", reason="Shutdown") == 1
    assert page.value("pushtasks_pushes_total", outcome="not_sent", reason="Shutdown") == 1
    failures = "pushtasks_task_failures_total"
    assert page.value(failures, task="pushtasks.send_apns", exception="PushNotSent") == 1
    assert page.value(failures, task="pushtasks.send_apns", exception="InvalidSettings") == 1


@pytest.mark.acceptance
def test_a_worker_whose_port_is_taken_says_so_in_one_line(environ, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "celery", "-A", "pushtasks", "worker", "-P", "prefork"],
            cwd=tmp_path,
            env={**environ, LISTEN: listen, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert (
        f"pushtasks: metrics.listen '{listen}' cannot be listened on (Address already in use):"
        " choose another port, or for several workers on a host a range such as"
        " 127.0.0.1:9540-9549\n"
    ) in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("pushtasks-metrics-*"))
