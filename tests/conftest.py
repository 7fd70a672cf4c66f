"""Fixtures that all tests share."""

import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, _state
from celery.events import EventReceiver

from pushtasks import clients
from pushtasks.emulator import Emulator, Endpoints
from pushtasks.store import current

_celery_state: Any = _state
_stores: Any = current


@pytest.fixture(autouse=True)
def _celery_is_as_before() -> Iterator[None]:
    """Take back what a test has told Celery for the whole process.

    That is which apps there are, with what could not be counted for them in Redis; which is the
    current and the default one, by whose settings later tests would go; and what commands that
    never wait for a result say of waiting.
    """
    current, default = _celery_state._tls.current_app, _celery_state.default_app
    apps, stores = set(_celery_state._get_active_apps()), set(_stores._stores)
    yield
    for app in set(_celery_state._get_active_apps()) - apps:
        _celery_state._deregister_app(app)
    for app in set(_stores._stores) - stores:
        _stores._stores.pop(app, None)
    _celery_state._set_current_app(current)
    _celery_state.set_default_app(default)
    _celery_state._set_task_join_will_block(False)  # noqa: FBT003


class EmulatorClient:
    """A running emulator, as a test meets it."""

    def __init__(self, directory: Path, endpoints: Endpoints) -> None:
        self.directory = directory
        self.endpoints = endpoints

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API and return its parsed JSON, whatever the status."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            self.endpoints.control + path, data, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def received(self) -> list[dict[str, Any]]:
        """Return what arrived since the last reset."""
        entries: list[dict[str, Any]] = self.control("GET", "/received")
        return entries

    def reset(self) -> None:
        """Make the provider healthy and forget what it saw."""
        for path in ("/tokens", "/faults", "/received", "/feedback", "/stats"):
            self.control("DELETE", path)


@pytest.fixture
def check_metrics() -> Callable[[str], None]:
    """(text) → fails if Prometheus' own tool finds anything to object to."""
    promtool = shutil.which("promtool")
    if promtool is None:
        assert "CI" not in os.environ, "promtool is missing: apt-get install prometheus"
        pytest.skip("promtool is missing: it comes with Prometheus")

    def check(text: str) -> None:
        done = subprocess.run(  # noqa: S603
            [promtool, "check", "metrics"],
            input=text,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")

    return check


@pytest.fixture(scope="session")
def running_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorClient]:
    """One emulator for the whole session; tests take `emulator` instead."""
    directory = tmp_path_factory.mktemp("emulator")
    with Emulator(directory, received_limit=50_000) as emulator:
        yield EmulatorClient(directory, emulator.endpoints)


@pytest.fixture
def emulator(running_emulator: EmulatorClient) -> EmulatorClient:
    """A healthy emulator that has seen nothing yet."""
    clients.close(0)  # what another test has stalled is of no use to this one
    running_emulator.reset()
    return running_emulator


class EventListener(EventReceiver):
    """Hears Celery's events as Flower does, until it is stopped."""

    def __init__(self, celery_app: Celery) -> None:
        self._opened = celery_app.connection_for_read()
        super().__init__(self._opened, handlers={"*": self._hear}, app=celery_app)
        self.events: list[dict[str, Any]] = []
        self._has_changed = threading.Condition()
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        assert self._is_ready.wait(10)

    def _listen(self) -> None:
        deque(self.consume(safety_interval=0.1), maxlen=0)

    def on_consume_ready(self, *_args: Any, **_kwargs: Any) -> None:
        """Let the test go on: from now on no event is missed."""
        self._is_ready.set()

    def _hear(self, event: dict[str, Any]) -> None:
        with self._has_changed:
            self.events.append(event)
            self._has_changed.notify_all()

    @property
    def of_pushes(self) -> list[dict[str, Any]]:
        """The events of pushes so far."""
        return [event for event in self.events if event["type"].startswith("push-")]

    def wait_for(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait until what has been heard fulfils a condition."""
        with self._has_changed:
            assert self._has_changed.wait_for(condition, timeout), self.events

    def wait_for_pushes(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many pushes have been told of, and return the events that did."""
        self.wait_for(lambda: sum(event["count"] for event in self.of_pushes) >= count)
        return self.of_pushes

    def stop(self) -> None:
        """Hear no more."""
        self.should_stop = True
        self._thread.join(10)
        self._opened.release()


@pytest.fixture
def listen() -> Iterator[Callable[[Celery], EventListener]]:
    """(celery_app) → a listener to the events on its broker."""
    listeners = []

    def start(celery_app: Celery) -> EventListener:
        listeners.append(EventListener(celery_app))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.stop()
