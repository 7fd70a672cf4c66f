"""Valkey, the pretend providers and a real worker, all gone when this process is."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import click
from celery import Celery

from pushtasks.adapters.cli.processes import Child, WorkerOptions, keeper, worker
from pushtasks.emulator import Emulator, EmulatorError, Endpoints

#: Seconds that a worker has to start.
START_LIMIT: Final = 60.0
#: Environment variables that would lead us or our processes elsewhere.
FOREIGN: Final = ("PUSHTASKS_", "CELERY_", "DJANGO_SETTINGS_MODULE")


@dataclass(frozen=True, slots=True)
class Embedded:
    """What is running."""

    folder: Path
    endpoints: Endpoints
    #: Variables that lead a worker or a caller here.
    environment: Mapping[str, str]
    #: A client's app, as a web process would have one.
    app: Celery
    broker: Child
    worker: Child

    def wait(self) -> None:
        """Return never; raise when one of the processes has ended.

        Raises:
            click.ClickException: It has, with the end of its log.
        """
        ended: SimpleQueue[Child] = SimpleQueue()
        for child in (self.broker, self.worker):
            threading.Thread(target=_watch, args=(child, ended), daemon=True).start()
        raise ended.get().failure()


@contextmanager
def embedded(
    tell: Callable[[str], None], options: WorkerOptions, directory: Path | None = None
) -> Iterator[Embedded]:
    """Start everything; stop it in the end, the worker first.

    Args:
        tell: Is told what is being started.
        options: How the worker is to run.
        directory: Where data, keys and logs are kept; None: in a temporary folder.

    Raises:
        click.ClickException: Something does not start.
    """
    with _own_environment(), ExitStack() as stack:
        folder = _folder(stack, directory)
        tell("Starting Valkey")
        broker, port = stack.enter_context(keeper(folder, is_temporary=directory is None))
        tell("Starting the pretend Apple and Google")
        endpoints = stack.enter_context(_emulator(folder)).endpoints
        environment = {
            "PUSHTASKS_BROKER_URL": f"redis://127.0.0.1:{port}/0",
            "PUSHTASKS_CONFIG": str(folder / "pushtasks.toml"),
        }
        os.environ.update(environment)
        tell("Starting a Celery worker")
        child = stack.enter_context(worker(folder, options, broker.process.pid))
        app = _client_app(environment["PUSHTASKS_BROKER_URL"])
        stack.callback(app.close)
        _wait_for_worker(app, child)
        yield Embedded(folder, endpoints, environment, app, broker, child)


@contextmanager
def _own_environment() -> Iterator[None]:
    before = dict(os.environ)
    for name in before:
        if name.startswith(FOREIGN):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _folder(stack: ExitStack, directory: Path | None) -> Path:
    if directory is None:
        temporary = tempfile.TemporaryDirectory(prefix="pushtasks-", ignore_cleanup_errors=True)
        return Path(stack.enter_context(temporary))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(
            f"{directory} cannot be made ({error.strerror}): choose another directory"
        ) from None
    return directory.absolute()


@contextmanager
def _emulator(folder: Path) -> Iterator[Emulator]:
    try:
        with Emulator(folder) as emulator:
            yield emulator
    except EmulatorError as error:
        raise click.ClickException(str(error)) from None


def _client_app(broker_url: str) -> Celery:
    return Celery("client", broker=broker_url, backend=broker_url.removesuffix("0") + "1")


def _wait_for_worker(app: Celery, child: Child) -> None:
    deadline = time.monotonic() + START_LIMIT
    while child.process.poll() is None:
        if app.control.ping(timeout=0.5, limit=1):
            return
        if time.monotonic() > deadline:
            raise click.ClickException(f"the worker does not answer; its log: {child.log}")
    raise child.failure()


def _watch(child: Child, ended: "SimpleQueue[Child]") -> None:
    child.process.wait()
    ended.put(child)
