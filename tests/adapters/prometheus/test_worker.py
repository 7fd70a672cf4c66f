"""The exporter of a worker, where no worker is needed to see it."""

import os
import socket
import subprocess
import sys
import urllib.request

import pytest
from celery import Celery, signals
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from pushtasks import observers
from pushtasks.adapters.prometheus import worker
from pushtasks.observers import (
    Answers,
    Connections,
    End,
    Ended,
    Kind,
    ProviderTokenMade,
    RejectedLate,
    Sending,
    Sent,
    Tried,
)


@pytest.fixture
def app(tmp_path, monkeypatch):
    """(metrics.listen) → a Celery app with that setting."""
    monkeypatch.chdir(tmp_path)
    apps = []

    def make(listen):
        apps.append(Celery("host", broker="memory://", set_as_current=False))
        apps[-1].conf.pushtasks = {"metrics": {"listen": listen}}
        return apps[-1]

    yield make
    for one in apps:
        one.close()


@pytest.fixture
def exporter(app):
    exporter = worker.start(app("127.0.0.1:0"), forks=False)
    yield exporter
    exporter.close()


def lines(exporter, accept="text/plain"):
    request = urllib.request.Request(exporter.url, headers={"Accept": accept})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert answer.headers["Content-Type"].startswith(accept.partition(";")[0])
        return answer.read().decode().splitlines()


def test_every_record_is_counted(exporter):
    push = ("apns", "default", Kind.LIST, 7)
    observers.tell(Sending(*push))
    assert 'pushtasks_pushes_in_flight{app="default",provider="apns"} 7.0' in lines(exporter)
    observers.tell(Sent(*push, 0.2))
    ends = (Ended(End.ACCEPTED, 5), Ended(End.RETRIED, 2, "no answer in time (x)"))
    observers.tell(Tried("apns", "default", "production", Kind.LIST, ends))
    observers.tell(Connections("host:1", opened=3, closed=1, goaways=1, streams=4))
    observers.tell(Answers("host:1", 6, 0.07))
    observers.tell(Answers("host:1", 1, 99.0))
    observers.tell(RejectedLate("apns", "default", "InvalidToken", "ababab…"))
    observers.tell(ProviderTokenMade("TEAM123456", "ABC1234567", 0))

    shown = lines(exporter)

    app = 'app="default"'
    provider = 'provider="apns"'
    for line in (
        f"pushtasks_pushes_in_flight{{{app},{provider}}} 0.0",
        f'pushtasks_pushes_total{{{app},outcome="accepted",{provider},reason=""}} 5.0',
        f'pushtasks_pushes_total{{{app},outcome="retried",{provider},reason="unanswered"}} 2.0',
        f'pushtasks_send_seconds_bucket{{{app},kind="list",le="0.25",{provider}}} 1.0',
        'pushtasks_connections{server="host:1"} 2.0',
        'pushtasks_connections_opened_total{server="host:1"} 3.0',
        'pushtasks_goaways_total{server="host:1"} 1.0',
        'pushtasks_streams{server="host:1"} 4.0',
        'pushtasks_answer_seconds_bucket{le="0.05",server="host:1"} 0.0',
        'pushtasks_answer_seconds_bucket{le="0.1",server="host:1"} 6.0',
        'pushtasks_answer_seconds_bucket{le="+Inf",server="host:1"} 7.0',
        'pushtasks_answer_seconds_count{server="host:1"} 7.0',
        f'pushtasks_late_rejections_total{{{app},{provider},reason="InvalidToken"}} 1.0',
    ):
        assert line in shown, line
    [age] = [line for line in shown if line.startswith("pushtasks_provider_token_age_seconds{")]
    assert float(age.split()[1]) > 1_700_000_000
    assert not any("_created" in line or "issued" in line for line in shown)


def test_it_speaks_openmetrics_to_those_who_ask_for_it(exporter):
    observers.tell(Answers("host:1", 6, 0.07))
    observers.tell(ProviderTokenMade("TEAM123456", "ABC1234567", 0))

    text = "\n".join(lines(exporter, "application/openmetrics-text; version=1.0.0"))
    families = {family.name: family for family in openmetrics(f"{text}\n")}

    assert families["pushtasks_answer_seconds"].type == "histogram"
    assert families["pushtasks_provider_token_age_seconds"].type == "gauge"


def test_failures_of_other_peoples_tasks_are_not_counted(exporter, app):
    theirs, ours = (type("Task", (), {"name": name}) for name in ("theirs.f", "pushtasks.send_x"))
    for task in (theirs, ours):
        signals.task_failure.send(sender=task, exception=ValueError("no"))

    [line] = [line for line in lines(exporter) if line.startswith("pushtasks_task_failures_total")]
    assert line == (
        'pushtasks_task_failures_total{exception="ValueError",task="pushtasks.send_x"} 1.0'
    )


def test_a_closed_exporter_neither_listens_nor_counts(app):
    exporter = worker.start(app("127.0.0.1:0"), forks=False)
    exporter.close()

    assert exporter._listener not in observers.registered
    with pytest.raises(OSError, match="refused"):
        lines(exporter)


def test_several_workers_of_a_host_share_a_range_of_ports(app):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        exporter = worker.start(app(f"127.0.0.1:{first}-{first + 9}"), forks=False)
        port = int(exporter.url.split(":")[2].partition("/")[0])
        exporter.close()

    assert first < port <= first + 9


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_listens_on_ipv6_too(app):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on loopback")
    exporter = worker.start(app("[::1]:0"), forks=False)

    assert exporter.url.startswith("http://[::1]:")
    assert lines(exporter)
    exporter.close()


@pytest.mark.parametrize("listen", ["no.such.host.invalid:9540", "192.0.2.1:9540"])
def test_an_address_that_is_not_ours_is_said_in_one_line(app, listen):
    before = observers.registered
    with pytest.raises(SystemExit, match=f"'{listen}' cannot be listened on") as error:
        worker.start(app(listen), forks=False)

    assert "\n" not in str(error.value)
    assert observers.registered == before


def test_a_missing_package_is_said_in_one_line(app, monkeypatch):
    monkeypatch.setattr(worker, "find_spec", lambda _: None)

    with pytest.raises(SystemExit, match=r"install pushtasks\[prometheus\], or unset it"):
        worker.start(app("127.0.0.1:0"), forks=False)


def test_a_client_that_says_nothing_keeps_nobody_waiting(exporter):
    host, port = exporter.url.removeprefix("http://").partition("/")[0].split(":")
    with socket.create_connection((host, int(port))):
        assert lines(exporter)


IMPORTS = """
import sys
from pushtasks.celery import app
app.Worker(pool="{pool}", concurrency=1, hostname="x@y")
print(sorted({{"prometheus_client", "pushtasks.adapters.json_logs"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_a_worker_that_serves_no_metrics_does_not_import_prometheus(pool, tmp_path):
    clean = {name: value for name, value in os.environ.items() if "PUSHTASKS" not in name}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", IMPORTS.format(pool=pool)],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.endswith("[]\n")
