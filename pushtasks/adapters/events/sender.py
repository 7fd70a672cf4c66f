"""Collects what becomes of pushes, and sends it as events from a thread of its own."""

import logging
import os
import threading
import time
from collections.abc import Iterable
from typing import Final

from celery import Celery

from pushtasks.adapters.events.heap import Heap, PushEvent, event_of_late, events_of
from pushtasks.adapters.events.line import Line
from pushtasks.adapters.events.switch import Switch
from pushtasks.observers import Observer, RejectedLate, Tried

logger = logging.getLogger(__name__)

#: Seconds between two messages, in which events gather.
PAUSE: Final = 0.25
#: Seconds after one that the broker has not taken.
PAUSE_AFTER_FAILURE: Final = 5.0
#: Seconds without an event after which the connection is closed.
IDLE: Final = 30.0
#: Seconds that a process which ends gives to the last events.
LAST: Final = 1.0


class Sender(Observer):
    """Sends events while they are switched on; a push never waits for it, and never hears of it."""

    def __init__(self, celery_app: Celery, hostname: str, switch: Switch) -> None:
        self._celery_app = celery_app
        self._hostname = hostname
        self._switch = switch
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Have nothing to tell; so does a process just forked, whatever its parent was about."""
        self._heap = Heap()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_waiting = threading.Event()
        self._is_closing = threading.Event()

    def tried(self, record: Tried) -> None:
        """Have what became of the pushes of a try sent, if anybody wants to know."""
        if self._switch.is_on:
            self._add(events_of(record, time.time()))

    def rejected_late(self, record: RejectedLate) -> None:
        """Have a late refusal sent, if anybody wants to know."""
        if self._switch.is_on:
            self._add([(event_of_late(record, time.time()), 1)])

    def close(self) -> None:
        """Send what waits, if that goes quickly; a later record would start anew."""
        with self._lock:
            thread = self._thread
            self._is_closing.set()
            self._is_waiting.set()
        if thread is not None:
            thread.join(LAST)

    def _add(self, events: Iterable[tuple[PushEvent, int]]) -> None:
        with self._lock:
            for event, count in events:
                self._heap.add(event, count)
            if self._thread is None:
                self._start()
            self._is_waiting.set()

    def _start(self) -> None:
        self._is_closing.clear()
        self._thread = threading.Thread(target=self._run, name="pushtasks-events", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        line = Line(self._celery_app, self._hostname)
        log = logger.warning
        while events := self._next():
            try:
                line.send(events)
            except Exception as error:  # noqa: BLE001, each broker has errors of its own
                line.close()
                count = sum(count for _, count in events)
                log("No events of %d pushes, which have not suffered: %s", count, error)
                log = logger.debug  # once is enough, until it is well again
                self._is_closing.wait(PAUSE_AFTER_FAILURE)
            else:
                log = logger.warning
                self._is_closing.wait(PAUSE)
        line.close()

    def _next(self) -> list[tuple[PushEvent, int]]:
        """Wait for events; an empty list means that the thread is over."""
        if not self._is_closing.is_set():
            self._is_waiting.wait(IDLE)
        with self._lock:
            self._is_waiting.clear()
            events = self._heap.take()
            if not events:
                self._thread = None
            return events
