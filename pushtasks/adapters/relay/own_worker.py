"""Keeps a relay's own worker running, in a process of its own that cannot outlive the relay."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pushtasks.adapters.relay.gapless import GaplessSettings
from pushtasks.net.deadline import Deadline

logger = logging.getLogger(__name__)

#: Seconds until a worker that has ended is replaced: the first time, and at the most.
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
#: Seconds that the worker has to finish what it has begun.
STOP_LIMIT: Final = 30.0
#: Environment variables that would lead the worker elsewhere.
FOREIGN: Final = ("PUSHTASKS_", "CELERY_", "DJANGO_SETTINGS_MODULE")


@contextmanager
def own_worker(settings: GaplessSettings, redis_url: str) -> Iterator["OwnWorker"]:
    """Run a worker for the time of the block; it is replaced if it ends."""
    worker = OwnWorker(settings, redis_url)
    thread = threading.Thread(target=worker.keep, name="own worker", daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(STOP_LIMIT)
        worker.kill()


class OwnWorker:
    """The worker's process, or the one after it."""

    def __init__(self, settings: GaplessSettings, redis_url: str) -> None:
        self._order = json.dumps(
            {"settings": settings.model_dump(mode="json"), "redis_url": redis_url}
        )
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def keep(self) -> None:
        """Start the worker, and another whenever it has ended; return when told to stop."""
        pause = FIRST_PAUSE
        while (process := self._start()) is not None:
            proof = Deadline(LONGEST_PAUSE)
            status = process.wait()
            self._hang_up()
            if not proof.left:  # it was well for a while
                pause = FIRST_PAUSE
            if not self._stopping.is_set():
                logger.error(
                    "The worker has ended (status %d); the next begins in %g s", status, pause
                )
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def stop(self) -> None:
        """Let the worker finish what it has begun, and start no other."""
        with self._lock:
            self._stopping.set()
            self._hang_up()

    def kill(self) -> None:
        """End what is left of it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _hang_up(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it is gone already
                self._process.stdin.close()

    def _start(self) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            environ = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pushtasks.adapters.relay.worker"],
                stdin=subprocess.PIPE,
                stdout=sys.stderr,  # standard output is the relay's alone
                env=environ,
                text=True,
                start_new_session=True,  # Ctrl-C is for the relay, which then tells the worker
            )
            self._process = process
            assert process.stdin is not None  # noqa: S101, as started above
            with suppress(OSError):  # it has ended already, which `keep` is told
                process.stdin.write(self._order + "\n")
                process.stdin.flush()
            return process
