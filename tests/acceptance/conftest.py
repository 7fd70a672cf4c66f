"""Whole workers: real processes, a real Redis, the emulator over TLS."""

import json
import os
import subprocess
import sys
import threading
import time
import tomllib
from collections import deque
from contextlib import contextmanager

import pytest
from celery import Celery

import pushtasks.tasks  # noqa: F401, every Celery app gets them

READY = " ready."
#: Settings that name a file.
PATHS = {"ca_file", "certificate", "certificate_key", "credentials", "key"}


class Worker:
    """A Celery worker started as the README says, in a folder without any file of ours."""

    def __init__(self, arguments, environ, directory):
        self.lines = deque(maxlen=2000)
        self.is_ready = threading.Event()
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "celery", "-A", "pushtasks", "worker", "-l", "info", *arguments],
            cwd=directory,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if READY in line:
                self.is_ready.set()

    @property
    def log(self):
        return "".join(self.lines)

    def wait_until_ready(self):
        assert self.is_ready.wait(30), self.log
        return self

    def kill(self):
        """End it without a chance to do anything more, as the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join(10)


@pytest.fixture
def environ(emulator, redis_server):
    """The environment of workers and of anybody else who talks to their broker."""
    redis_server.flush()
    names = ("PUSHTASKS_", "CELERY_", "DJANGO_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return {
        **clean,
        "PUSHTASKS_BROKER_URL": redis_server.url(0),
        "PUSHTASKS_RESULT_BACKEND": redis_server.url(1),
        "PUSHTASKS_CONFIG": str(emulator.directory / "pushtasks.toml"),
        "PYTHONWARNINGS": "ignore",
    }


@pytest.fixture
def settings(emulator):
    """The emulator's settings, for tests to change; its paths are absolute."""
    return read_settings(emulator)


@pytest.fixture
def settings_of():
    """(emulator) → the settings of any emulator."""
    return read_settings


def read_settings(emulator):
    """Read what an emulator wrote for its clients."""
    tables = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
    for table in (app for provider in tables.values() for app in provider.values()):
        for name in PATHS & table.keys():
            table[name] = str(emulator.directory / table[name])
    return tables


@pytest.fixture
def write_settings(tmp_path):
    """(settings) → the environment of a worker that goes by them."""

    def write(settings):
        path = tmp_path / "changed.toml"
        lines = []
        for provider, apps in settings.items():
            for app, table in apps.items():
                lines.append(f"[{provider}.{app}]")
                lines += [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        path.write_text("\n".join(lines))
        return {"PUSHTASKS_CONFIG": str(path)}

    return write


@pytest.fixture
def start_worker(tmp_path, environ):
    """Start a worker and wait until it is ready; it is stopped with the test."""
    workers = []

    def start(*arguments, **more):
        worker = Worker(arguments, {**environ, **more}, tmp_path)
        workers.append(worker)
        return worker.wait_until_ready()

    yield start
    for worker in workers:
        worker.stop()


@pytest.fixture
def host(redis_server, environ):
    """The Celery app of a web process: it knows the broker, and nothing of the workers' apps."""
    app = Celery("host", broker=redis_server.url(0), backend=redis_server.url(1))
    app.conf.pushtasks = {}
    yield app
    app.close()


@pytest.fixture
def tasks(host):
    """The tasks of that app, by their short names."""

    class Tasks:
        def __getattr__(self, name):
            return host.tasks[f"pushtasks.{name}"]

    return Tasks()


def wait_until(condition, timeout=20.0):
    """Ask again and again, since what happens elsewhere tells nobody."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture(name="wait_until")
def wait_until_fixture():
    return wait_until


@pytest.fixture
def report(request):
    """Time what is done under it, and show the figures when all tests are over."""

    @contextmanager
    def timed(what, count):
        line = {}
        started = time.perf_counter()
        yield line
        seconds = time.perf_counter() - started
        more = "".join(f", {name} {value}" for name, value in line.items())
        figures = f"{what}: {seconds:.1f} s, {count / seconds:.0f}/s{more}"
        request.node.user_properties.append(("figures", figures))

    return timed
