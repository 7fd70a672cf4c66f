"""What one process owns: a multiplexer, and a client for each app that it has sent to.

Everything is made on first use, and made anew where the process turns out to be another one: a
fork copies memory, but no threads, and its copies of the sockets are the parent's.
"""

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from celery import Celery, signals

from pushtasks.apns.client import ApnsClient
from pushtasks.apns.gateway import GatewayClient
from pushtasks.config import ApnsApp, GcmApp, current_settings
from pushtasks.errors import InvalidSettings
from pushtasks.fcm.client import FcmClient
from pushtasks.fcm.legacy_client import LegacyClient
from pushtasks.feedback.late import rejected_late
from pushtasks.net.deadline import Deadline
from pushtasks.net.multiplexer import DRAIN, Multiplexer

Client = TypeVar("Client")

#: Seconds that a process which ends by itself waits for pushes in flight.
LAST_DRAIN: Final = 1.0


class _Process:
    """The multiplexer and clients of one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.multiplexer = Multiplexer()
        self._clients: dict[tuple[object, ...], Any] = {}
        self._lock = threading.Lock()

    def client(self, key: tuple[object, ...], make: Callable[[], Client]) -> Client:
        client: Client | None = self._clients.get(key)
        if client is None:
            with self._lock:
                client = self._clients.get(key) or self._clients.setdefault(key, make())
        return client

    def close(self, drain: float) -> None:
        """Wait up to `drain` seconds for what is in flight, and close all connections."""
        deadline = Deadline(drain)
        clients = list(self._clients.values())
        for client in clients:
            if hasattr(client, "stop"):  # all at once, that none waits for another
                client.stop(drain)
        for client in clients:
            if hasattr(client, "close"):  # it has connections of its own
                client.close(deadline.left)
        self.multiplexer.close(deadline.left)


_process: _Process | None = None
_lock = threading.Lock()
#: What a fork copied. It is kept, for to close libcurl's handles would end the parent's TLS.
_inherited: list[_Process] = []


def apns_client(
    celery_app: Celery, name: str, environment: str | None = None
) -> ApnsClient | GatewayClient:
    """Return this process's client of an app at Apple.

    Args:
        celery_app: Whose settings to go by.
        name: The app's name in the settings.
        environment: `production` or `sandbox`, instead of the one in the settings.

    Raises:
        InvalidPush: There is no such app.
        InvalidSettings: The settings, or the key or certificate they name, cannot be used.
    """
    app = current_settings(celery_app).apns_app(name)
    environment = environment or app.environment

    def make() -> ApnsClient | GatewayClient:
        with _naming(f"apns.{name}"):
            client: ApnsClient | GatewayClient = _makers.apns(celery_app, app, environment)
            return client

    return _current().client((celery_app, "apns", name, environment), make)


def fcm_client(celery_app: Celery, name: str) -> FcmClient | LegacyClient:
    """Return this process's client of an app at Google.

    Raises:
        InvalidPush: There is no such app.
        InvalidSettings: The settings, or the credentials they name, cannot be used.
    """
    app = current_settings(celery_app).gcm_app(name)

    def make() -> FcmClient | LegacyClient:
        with _naming(f"gcm.{name}"):
            client: FcmClient | LegacyClient = _makers.fcm(app)
            return client

    return _current().client((celery_app, "gcm", name), make)


def make_apns(celery_app: Celery, app: ApnsApp, environment: str) -> ApnsClient | GatewayClient:
    """Make a client of this process for an app at Apple."""
    if app.protocol == "binary":
        return GatewayClient(app, environment, partial(rejected_late, celery_app, app.name))
    return ApnsClient(app, environment, _current().multiplexer)


def make_fcm(app: GcmApp) -> FcmClient | LegacyClient:
    """Make a client of this process for an app at Google."""
    if app.protocol == "legacy":
        return LegacyClient(app)
    return FcmClient(app, _current().multiplexer)


@dataclass(frozen=True, slots=True)
class Makers:
    """What makes clients."""

    apns: Callable[[Celery, ApnsApp, str], Any] = make_apns
    fcm: Callable[[GcmApp], Any] = make_fcm


_makers = Makers()


@contextmanager
def clients_made_by(makers: Makers) -> Iterator[None]:
    """Have this process's clients made by others for a while, and all that is made closed.

    For tests; `Makers()` makes clients as always, that are gone afterwards.
    """
    global _makers  # noqa: PLW0603
    before = _makers
    close(0)
    _makers = makers
    try:
        yield
    finally:
        _makers = before
        close(0)


def close(drain: float = LAST_DRAIN) -> None:
    """Wait for what is in flight and close this process's connections; a next push opens others."""
    global _process
    with _lock:
        process, _process = _process, None
    if process is None:
        return
    if process.pid == os.getpid():
        process.close(drain)
    else:
        _inherited.append(process)


def _current() -> _Process:
    global _process  # noqa: PLW0603
    process = _process
    if process is not None and process.pid == os.getpid():
        return process
    with _lock:
        if _process is None or _process.pid != os.getpid():
            if _process is not None:
                _inherited.append(_process)
            _process = _Process()
        return _process


@contextmanager
def _naming(app: str) -> Iterator[None]:
    """Let an error about an app's keys say which app it is."""
    try:
        yield
    except InvalidSettings as error:
        message = str(error)
        raise InvalidSettings(message if app in message else f"{app}: {message}") from None


def _forget_lock() -> None:
    """Replace, in a forked process, a lock that another thread may have held at the fork."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()


def _close_with_worker(**_: object) -> None:
    close(DRAIN)


os.register_at_fork(after_in_child=_forget_lock)
atexit.register(close)
signals.worker_process_shutdown.connect(_close_with_worker)
signals.worker_shutdown.connect(_close_with_worker)
