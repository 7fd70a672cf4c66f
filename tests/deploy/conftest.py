"""Prometheus' own tool, and the names of all that there is to be asked for."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from celery import Celery
from prometheus_client import CollectorRegistry, generate_latest

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks.adapters.prometheus.collectors import Build, Certificates, Counted
from pushtasks.adapters.prometheus.metrics import Metrics
from pushtasks.adapters.prometheus.store import store_metrics
from pushtasks.observers import ProviderTokenMade

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


@pytest.fixture(scope="session")
def deploy():
    """The folder that operators take their files from."""
    return Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def promtool():
    """(arguments) → what Prometheus' own tool says; it must agree."""
    found = shutil.which("promtool")
    if found is None:
        assert "CI" not in os.environ, "promtool is missing: apt-get install prometheus"
        pytest.skip("promtool is missing: it comes with Prometheus")

    def run(*arguments):
        done = subprocess.run(  # noqa: S603
            [found, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def names_in(text):
    """Return the names of all series that a text announces."""
    return {
        name + suffix
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
        for suffix in SUFFIXES.get(kind, ("",))
    }


@pytest.fixture(scope="session")
def told(redis_server):
    """The names of all series that workers and `pushtasks serve` tell."""
    app = Celery("host", broker=redis_server.url(0), set_as_current=False)
    app.conf.pushtasks = {}
    counted, shown = CollectorRegistry(), CollectorRegistry()
    metrics = Metrics(counted)
    signed = ProviderTokenMade("TEAM123456", "ABC1234567", 0.0)
    metrics.issued.labels(signed.team_id, signed.key_id).set(signed.issued_at)
    for collector in (Counted(counted), Certificates(app), Build()):
        shown.register(collector)
    texts = generate_latest(shown), store_metrics(app)[0]
    app.close()
    return set().union(*(names_in(text.decode()) for text in texts))
