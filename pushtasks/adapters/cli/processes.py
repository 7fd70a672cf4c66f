"""Processes of ours that must not outlive us: Valkey with its keeper, and a Celery worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

KEEPER: Final = Path(__file__).with_name("keeper.py")
#: Seconds that a worker has to finish its tasks.
WORKER_STOP_LIMIT: Final = 5.0
#: Seconds that Valkey has to save its data, and its keeper to go.
KEEPER_STOP_LIMIT: Final = 10.0
#: Lines of a log that are shown.
TAIL: Final = 15


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker is to run; None: as the ready-made app has it."""

    pool: str | None = None
    concurrency: int | None = None

    def arguments(self) -> list[str]:
        """Return them as a command line has them."""
        pool = ["--pool", self.pool] if self.pool else []
        return pool + (["--concurrency", str(self.concurrency)] if self.concurrency else [])


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def failure(self) -> click.ClickException:
        """Return what to say of an end that nobody asked for."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL:]
        return click.ClickException(
            "\n  ".join([f"the {self.name} has ended; the end of its log:", *lines])
        )

    def end(self, limit: float) -> None:
        """Close its standard input, and kill it if it is not gone in that many seconds."""
        assert self.process.stdin is not None  # noqa: S101, as spawned below
        self.process.stdin.close()
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()


@contextmanager
def keeper(folder: Path, *, is_temporary: bool) -> Iterator[tuple[Child, int]]:
    """Run Valkey; yield its keeper, whose id is that of the group, and Valkey's port.

    Raises:
        click.ClickException: Valkey does not start.
    """
    end = "remove" if is_temporary else "keep"
    command = [sys.executable, "-P", str(KEEPER), str(folder), end]
    with _spawned("broker", command, folder, group=0) as child:
        assert child.process.stdout is not None  # noqa: S101, as spawned below
        line = child.process.stdout.readline()
        if not line:
            child.process.wait()
            raise child.failure()
        try:
            yield child, int(line)
        finally:
            child.end(KEEPER_STOP_LIMIT)
            with suppress(ProcessLookupError, PermissionError):  # as is usual: nobody is left
                os.killpg(child.process.pid, signal.SIGKILL)


@contextmanager
def worker(folder: Path, options: WorkerOptions, group: int) -> Iterator[Child]:
    """Run a worker in a keeper's group; it goes by our environment."""
    # It is alone: nobody to gossip with, and to ask others for news would take a second.
    alone = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    command = [sys.executable, "-m", "celery", "-A", "pushtasks", "worker", *alone]
    with _spawned("worker", command + options.arguments(), folder, group=group) as child:
        try:
            yield child
        finally:
            child.process.terminate()
            child.end(WORKER_STOP_LIMIT)


@contextmanager
def _spawned(name: str, command: list[str], folder: Path, *, group: int) -> Iterator[Child]:
    """Start a process in a group (0: as its leader, who is listened to)."""
    log = folder / f"{name}.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=file if group else subprocess.PIPE,
            stderr=file,
            process_group=group,
        ) as process,
    ):
        yield Child(name, process, log)
