"""All that is bound for one origin: what waits, and the connections that take it."""

import logging
import math
import selectors
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from pushtasks import observers
from pushtasks.net.generation import Generation
from pushtasks.net.http import Answer, Unanswered
from pushtasks.net.origin import Origin
from pushtasks.net.patience import Patience
from pushtasks.net.traffic import Traffic
from pushtasks.net.transfer import UNUSABLE, Job

logger = logging.getLogger(__name__)

#: Seconds beyond its timeout that a request may wait for its turn while answers keep coming.
QUEUE_LIMIT: Final = 50.0


class Lane:
    """A queue in front of the current generation of connections, and those that still drain."""

    def __init__(self, origin: Origin, selector: selectors.BaseSelector) -> None:
        self._origin = origin
        self._selector = selector
        self._waiting: deque[Job] = deque()
        self._current: Generation | None = None
        self._draining: list[Generation] = []
        self._patience = Patience()
        self._traffic = Traffic(origin.server)
        self._heard = 0.0
        self._replaced_connections = 0
        self._ended = 0

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs; the next turn starts as many as there is room for."""
        self._waiting.extend(jobs)

    def renew(self) -> None:
        """Send what comes on new connections, unless the current ones are new themselves."""
        if self._current and self._current.is_proven:
            self._retire(self._current)

    def turn(self, now: float) -> None:
        """Do all that can be done without waiting."""
        for generation in self._generations():
            self._collect(generation, now)
        self._close_drained()
        if self._waiting:
            self._expire(now)
            self._start(now)
        if observers.registered:
            self._traffic.tell([*self._generations()], now)

    def take_ended(self) -> int:
        """Return how many jobs have ended since this was asked last."""
        ended, self._ended = self._ended, 0
        return ended

    @property
    def due(self) -> float:
        """Monotonic time of the next turn even if no socket becomes ready."""
        times = [generation.due for generation in self._generations()]
        if self._waiting:
            times.append(self._expires(self._waiting[0]))
            if self._current:
                times.append(self._current.silent_from)
        return min(times, default=math.inf)

    @property
    def connections(self) -> int:
        """Connections opened so far."""
        return self._replaced_connections + sum(g.connections for g in self._generations())

    def close(self, reason: str) -> None:
        """Close all connections; whatever waited or was in flight ends unanswered."""
        for generation in self._generations():
            for job, answer in generation.abandon():
                self._deliver(job, answer)
            generation.close()
            self._traffic.retire(generation)
        self._current, self._draining = None, []
        self._traffic.tell((), time.monotonic())
        self._refuse_waiting(reason)

    def _generations(self) -> Iterator[Generation]:
        yield from self._draining
        if self._current:
            yield self._current

    def _collect(self, generation: Generation, now: float) -> None:
        generation.tick(now)
        for job, answer in generation.finished(now):
            if answer is None:
                self._waiting.appendleft(job)
            else:
                self._heard = now
                self._deliver(job, answer)

    def _start(self, now: float) -> None:
        current = self._current_generation(now)
        if current.unreachable:
            self._retire(current)
            self._refuse_waiting(current.unreachable)
        for _ in range(min(current.room, len(self._waiting))):
            job = self._waiting.popleft()
            try:
                current.start(job, now)
            except UNUSABLE as error:
                self._give_back(job, f"the request cannot be sent: {error}")

    def _current_generation(self, now: float) -> Generation:
        if self._current and self._current.silent_from <= now:
            self._retire(self._current)
        if self._current is None:
            self._current = Generation(self._origin, self._selector, self._patience)
        return self._current

    def _retire(self, generation: Generation) -> None:
        self._draining.append(generation)
        self._current = None

    def _close_drained(self) -> None:
        for generation in [g for g in self._draining if g.is_done]:
            self._draining.remove(generation)
            self._replaced_connections += generation.connections
            generation.close()
            self._traffic.retire(generation)

    def _expire(self, now: float) -> None:
        while self._waiting and self._expires(self._waiting[0]) <= now:
            self._give_back(self._waiting.popleft(), "no connection had room for it in time")

    def _expires(self, job: Job) -> float:
        """Wait longer while answers keep coming, so a long queue drains; but not without end."""
        submission, _ = job
        submitted = submission.submitted
        patience = max(submitted, min(self._heard, submitted + QUEUE_LIMIT))
        return patience + submission.timeout

    def _refuse_waiting(self, reason: str) -> None:
        while self._waiting:
            self._give_back(self._waiting.popleft(), reason)

    def _give_back(self, job: Job, reason: str) -> None:
        self._deliver(job, Unanswered(maybe_sent=False, reason=reason))

    def _deliver(self, job: Job, answer: Answer) -> None:
        self._ended += 1
        submission, place = job
        try:
            submission.deliver(place, answer)
        except Exception:
            logger.exception("Whoever waited for an answer of %s failed", self._origin.url)
