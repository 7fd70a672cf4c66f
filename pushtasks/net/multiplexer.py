"""Thousands of requests in flight over a few HTTP/2 connections, by one thread per process.

Tasks hand requests over and wait on plain futures, so they are served alike under prefork, threads,
gevent and solo. The thread begins with the first request, never before a fork; it waits in the
standard library's selector, which gevent replaces by a cooperative one.
"""

import logging
import math
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from itertools import repeat
from typing import Final, Protocol

from pushtasks.net.http import Answer, Request, Unanswered
from pushtasks.net.lane import QUEUE_LIMIT, Lane
from pushtasks.net.origin import Origin
from pushtasks.net.transfer import Submission
from pushtasks.net.watch import INTERVAL, Watch

logger = logging.getLogger(__name__)

#: Requests that wait or are in flight, over all origins. Who comes when there are more waits.
CAPACITY: Final = 20_000
#: Seconds that requests in flight get to be answered when the multiplexer closes.
DRAIN: Final = 5.0
#: The longest wait of the I/O thread, seconds.
NAP: Final = 60.0

#: Seconds beyond all deadlines after which a caller no longer believes in an answer.
GRACE: Final = 5.0

NOT_YET: Final = Unanswered(maybe_sent=False, reason="no answer yet")
CLOSED: Final = Unanswered(maybe_sent=False, reason="this process is shutting down")
FULL: Final = Unanswered(maybe_sent=False, reason="too many requests wait in this process")
FAILED: Final = "the I/O thread of this process failed: see its log"
LOST: Final = Unanswered(maybe_sent=True, reason="the I/O thread of this process does not answer")


def exchange_limit(timeout: float) -> float:
    """Return the seconds that `Multiplexer.exchange` takes at the most."""
    return 2 * timeout + QUEUE_LIMIT + GRACE


class Requests(Protocol):
    """Some requests, in order: a list, or what makes each when it is asked for.

    Each is asked for in the I/O thread, which is the next to look at it, and once for each time
    that it is sent.
    """

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, place: int, /) -> Request:
        """Return one of them."""


class _Batch:
    """Gathers the answers of a submission. Only one thread delivers, so it needs no lock."""

    __slots__ = ("_missing", "answers", "future", "request", "submitted", "timeout")

    def __init__(self, requests: Requests, timeout: float) -> None:
        self.request = requests.__getitem__
        self.timeout = timeout
        self.submitted = time.monotonic()
        self.future: Future[list[Answer]] = Future()
        self.future.set_running_or_notify_cancel()  # nobody can cancel it: it is on its way
        self._missing = len(requests)
        self.answers: list[Answer] = [NOT_YET] * self._missing

    def deliver(self, place: int, answer: Answer) -> None:
        self.answers[place] = answer
        self._missing -= 1
        if not self._missing:
            self.future.set_result(self.answers)


class Multiplexer:
    """Sends requests of any thread over connections that live as long as the process.

    Every submission is answered: by a response, or by `Unanswered` at the latest some time after
    its timeout. An instance belongs to the process that made it; after a fork, make another.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.pid = os.getpid()
        self._capacity = capacity
        self._held = 0
        self._room = threading.Condition()
        self._inbox: deque[Callable[[], None]] = deque()
        self._lanes: dict[Origin, Lane] = {}
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._rung = False
        self._stop_at: float | None = None
        self._thread: threading.Thread | None = None

    # Any thread ----------------------------------------------------------------------------------

    def submit(self, origin: Origin, requests: Requests, timeout: float) -> Future[list[Answer]]:
        """Send requests for the price of one wake-up.

        Args:
            origin: Where to, and over whose connections.
            requests: What to send.
            timeout: Seconds for each answer once its request is under way. It may wait for its turn
                for as long, and longer while answers to others keep coming.

        Returns:
            The future answers, in the same order. The call itself waits only while the multiplexer
            is full.
        """
        return self._submit(origin, requests, timeout).future

    def exchange(
        self,
        origin: Origin,
        requests: Requests,
        timeout: float,
        watch: Watch[Answer] | None = None,
    ) -> list[Answer]:
        """Send requests as `submit` does, and wait for their answers.

        Args:
            origin: As of `submit`, and so is the timeout.
            requests: What to send.
            timeout: Seconds for each answer.
            watch: Looks at the answers while some are outstanding; those to come are `NOT_YET`.
        """
        batch = self._submit(origin, requests, timeout)
        ends = time.monotonic() + exchange_limit(timeout)
        while True:
            left = ends - time.monotonic()
            try:
                return batch.future.result(min(left, INTERVAL) if watch else left)
            except TimeoutError:
                if time.monotonic() >= ends:  # only if the I/O thread itself is stuck
                    return [LOST] * len(requests)
                if watch:
                    watch.look(batch.answers)

    def _submit(self, origin: Origin, requests: Requests, timeout: float) -> _Batch:
        batch = _Batch(requests, timeout)
        if len(requests):
            self._enqueue(origin, batch, len(requests))
        else:
            batch.future.set_result([])
        return batch

    def renew(self, origin: Origin) -> None:
        """Let what comes for `origin` go over new connections; old ones drain and close."""
        self._post(lambda: self._lane(origin).renew())

    def close(self, drain: float = DRAIN) -> None:
        """Take nothing more, wait up to `drain` seconds for what is in flight, and close."""
        with self._room:
            if self._stop_at is None:
                self._stop_at = time.monotonic() + drain
            self._room.notify_all()
            self._ring()
        if self._thread:
            self._thread.join(drain + 1)
        else:
            self._shut_down()

    def connections(self, origin: Origin) -> int:
        """Return how many connections to `origin` have been opened so far."""
        lane = self._lanes.get(origin)
        return lane.connections if lane else 0

    def _enqueue(self, origin: Origin, submission: Submission, count: int) -> None:
        with self._room:
            refusal = self._wait_for_room(submission.timeout)
            if refusal is None:
                jobs = zip(repeat(submission), range(count), strict=False)
                refusal = self._hand_over(lambda: self._lane(origin).add(jobs), count)
            if refusal is None:
                return
        for place in range(count):
            submission.deliver(place, refusal)

    def _hand_over(self, work: Callable[[], None], count: int) -> Unanswered | None:
        try:
            self._post(work)
        except RuntimeError as error:  # the system has no thread to spare; perhaps next time
            return Unanswered(maybe_sent=False, reason=f"no I/O thread: {error}")
        self._held += count
        return None

    def _wait_for_room(self, timeout: float) -> Unanswered | None:
        self._room.wait_for(lambda: self._held < self._capacity or self._stop_at, timeout)
        if self._stop_at:
            return CLOSED
        return FULL if self._held >= self._capacity else None

    def _post(self, work: Callable[[], None]) -> None:
        """Have the I/O thread do something, unless it has been told to stop."""
        with self._room:
            if self._stop_at is None:
                if self._thread is None:
                    self._start()
                self._inbox.append(work)
                self._ring()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="pushtasks-io", daemon=True)
        thread.start()
        self._thread = thread

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._bell.send(b"\0")

    # The I/O thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        self._selector.register(self._ear, selectors.EVENT_READ, self._heard_bell)
        try:
            while not self._is_over():
                self._turn_or_recover()
        finally:
            self._shut_down()

    def _turn_or_recover(self) -> None:
        try:
            self._turn()
        except Exception:
            if not self._lanes:
                raise
            logger.exception("The I/O thread of pushtasks failed, and goes on with new connections")
            self._close_lanes(FAILED)
            self._release()

    def _turn(self) -> None:
        dues = [lane.due for lane in self._lanes.values()]
        if self._stop_at is not None:
            dues.append(self._stop_at)
        wait = max(0.0, min(min(dues, default=math.inf) - time.monotonic(), NAP))
        for key, events in self._selector.select(wait):
            key.data(key.fd, events)
        while self._inbox:
            self._inbox.popleft()()
        now = time.monotonic()
        for lane in self._lanes.values():
            lane.turn(now)
        self._release()

    def _heard_bell(self, _descriptor: int, _events: int) -> None:
        self._ear.recv(64)
        self._rung = False

    def _lane(self, origin: Origin) -> Lane:
        lane = self._lanes.get(origin)
        if lane is None:
            lane = self._lanes[origin] = Lane(origin, self._selector)
        return lane

    def _release(self) -> None:
        ended = sum(lane.take_ended() for lane in self._lanes.values())
        if ended:
            with self._room:
                self._held -= ended
                self._room.notify_all()

    def _is_over(self) -> bool:
        stop_at = self._stop_at
        return stop_at is not None and (not self._held or time.monotonic() >= stop_at)

    def _close_lanes(self, reason: str) -> None:
        for lane in self._lanes.values():
            lane.close(reason)

    def _shut_down(self) -> None:
        with self._room:
            self._stop_at = self._stop_at or time.monotonic()
            self._rung = True  # so that nobody rings any more
            self._room.notify_all()
        while self._inbox:
            self._inbox.popleft()()
        self._close_lanes(CLOSED.reason)
        self._selector.close()
        self._bell.close()
        self._ear.close()
