"""Finds out what became of the requests to `/gcm/send`, from the results of their tasks.

Each process that serves has a thread that does so. Which request is whose turn, and when, is kept
in Redis: so any number of them share the work, and what one leaves when it ends another takes up.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final
from weakref import ref

from celery import Celery, states
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend

from pushtasks.adapters.http.ledger import Ending, Ledger, Pending
from pushtasks.results import Action

logger = logging.getLogger(__name__)

#: Requests that are taken at a time.
BATCH: Final = 100
#: Seconds between two looks, after one that found nothing, and after one that failed.
LOOK: Final = 0.25
LOOK_WHEN_IDLE: Final = 1.0
LOOK_AFTER_FAILURE: Final = 5.0
#: Seconds after which a request without a result is given up as failed: results are forgotten.
GIVE_UP: Final = 48 * 3600.0


class Collector:
    """The thread that looks for results; started at the first request, once in each process."""

    def __init__(self, celery_app: Celery, ledger: Ledger) -> None:
        """Take whose results to look for, and where to note them; nothing is started yet."""
        self._celery_app, self._ledger = celery_app, ledger
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: int | None = None

    def start(self) -> None:
        """Start, unless this process has started already."""
        if self._process == os.getpid():
            return
        with self._lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(
                    target=_work, args=(ref(self), self._stopping), name="gocm", daemon=True
                ).start()

    def stop(self) -> None:
        """Stop soon."""
        self._stopping.set()

    def sweep(self, limit: float) -> int:
        """Look for all results that are due, for so many seconds at the most; return how many.

        Raises:
            PushError: Redis cannot be reached.
        """
        looked = 0
        if not keeps_results(self._celery_app):
            return looked
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            due = self._ledger.due(BATCH)
            for pending in due:
                self._look(pending)
            looked += len(due)
            if len(due) < BATCH:
                break
        return looked

    def _look(self, pending: Pending) -> None:
        backend: Any = self._celery_app.backend
        meta = backend.get_task_meta(pending.task_id, cache=False)
        ending = ending_of(meta["status"], meta.get("result"))
        if ending is None and pending.age > GIVE_UP:
            ending = Ending(failures=1)
        if ending is not None:
            self._ledger.settle(pending, ending)


def _work(collector: "ref[Collector]", stopping: threading.Event) -> None:
    """Sweep every now and then, until it is stopped or nobody has it any more."""
    pause = LOOK
    while not stopping.wait(pause):
        found = collector()
        if found is None:
            return
        try:
            pause = LOOK if found.sweep(LOOK_AFTER_FAILURE) else LOOK_WHEN_IDLE
        except Exception as error:  # noqa: BLE001, of whatever result backend
            if pause != LOOK_AFTER_FAILURE:  # told once
                logger.warning("/gcm/report lags behind: %s: %s", type(error).__name__, error)
            pause = LOOK_AFTER_FAILURE
        del found


def keeps_results(celery_app: Celery) -> bool:
    """Return whether this process can read what tasks return."""
    return not isinstance(celery_app.backend, DisabledBackend | RPCBackend)


def ending_of(state: str, result: Any) -> Ending | None:
    """Return what a task's state and result say of its request; None: it goes on.

    Args:
        state: As Celery has it.
        result: Of `send_gcm` with a list, or of `send_gcm_many`; of a failed task anything.
    """
    if state in states.EXCEPTION_STATES & states.READY_STATES:
        return Ending(failures=1)  # the request as a whole, as GoCM counts
    if state != states.SUCCESS:
        return None
    if not isinstance(result, Mapping):
        return Ending()
    devices = list(_devices(result))
    return Ending(
        failures=sum(device["outcome"] != "accepted" for device in devices),
        canonicals=[
            (device["token"], device["canonical_id"])
            for device in devices
            if device["canonical_id"]
        ],
        notregistered=[
            device["token"] for device in devices if device["action"] == Action.DROP_TOKEN
        ],
    )


def _devices(result: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("results", "failures", "replacements"):
        yield from result.get(name, ())
