"""All that is bound for one origin: what waits, and the connections that take it."""

import math
import selectors
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from pushtasks.net.generation import Generation
from pushtasks.net.http import Unanswered
from pushtasks.net.origin import Origin
from pushtasks.net.transfer import Job

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
        self._slowest = 0.0
        self._heard = 0.0
        self._replaced_connections = 0

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs; the next turn starts as many as there is room for."""
        self._waiting.extend(jobs)

    def renew(self) -> None:
        """Send what comes on new connections, unless the current ones are new themselves."""
        if self._current and self._current.is_proven:
            self._retire(self._current)

    def turn(self, now: float) -> int:
        """Do all that can be done without waiting; return how many jobs have ended."""
        ended = sum(self._collect(generation, now) for generation in self._generations())
        self._close_drained()
        return ended + self._start(now)

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
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not self._waiting and not any(g.in_flight for g in self._generations())

    @property
    def in_flight(self) -> int:
        """Requests whose answers are awaited."""
        return sum(generation.in_flight for generation in self._generations())

    @property
    def connections(self) -> int:
        """Connections opened so far."""
        return self._replaced_connections + sum(g.connections for g in self._generations())

    def close(self, reason: str) -> None:
        """Close all connections; whatever waited or was in flight ends unanswered."""
        for generation in self._generations():
            for job, answer in generation.abandon():
                job.sink.deliver(job.place, answer)
            generation.close()
        self._current, self._draining = None, []
        self._refuse_waiting(reason)

    def _generations(self) -> Iterator[Generation]:
        yield from self._draining
        if self._current:
            yield self._current

    def _collect(self, generation: Generation, now: float) -> int:
        generation.tick(now)
        ended = 0
        for job, answer in generation.finished(now):
            if answer is None:
                self._waiting.appendleft(job)
                continue
            job.sink.deliver(job.place, answer)
            ended += 1
        if ended:
            self._heard = now
        if self._waiting:
            generation.window.note(ended, now)
        else:
            generation.window.pause()
        return ended

    def _start(self, now: float) -> int:
        """Start what there is room for; return how many jobs could only be given back."""
        if not self._waiting:
            return 0
        ended = self._expire(now)
        current = self._current_generation(now)
        if current.unreachable:
            self._retire(current)
            return ended + self._refuse_waiting(current.unreachable)
        for _ in range(min(current.room, len(self._waiting))):
            current.start(self._waiting.popleft(), now)
        return ended

    def _current_generation(self, now: float) -> Generation:
        if self._current and self._current.silent_from <= now:
            self._retire(self._current)
        if self._current is None:
            self._current = Generation(self._origin, self._selector, self._slowest)
        return self._current

    def _retire(self, generation: Generation) -> None:
        self._slowest = generation.slowest
        self._draining.append(generation)
        self._current = None

    def _close_drained(self) -> None:
        for generation in [g for g in self._draining if g.is_done]:
            self._draining.remove(generation)
            self._replaced_connections += generation.connections
            generation.close()

    def _expire(self, now: float) -> int:
        expired = 0
        while self._waiting and self._expires(self._waiting[0]) <= now:
            self._give_back(self._waiting.popleft(), "no connection had room for it in time")
            expired += 1
        return expired

    def _expires(self, job: Job) -> float:
        """Wait longer while answers keep coming, so a long queue drains; but not without end."""
        patience = max(job.submitted, min(self._heard, job.submitted + QUEUE_LIMIT))
        return patience + job.timeout

    def _refuse_waiting(self, reason: str) -> int:
        refused = len(self._waiting)
        while self._waiting:
            self._give_back(self._waiting.popleft(), reason)
        return refused

    @staticmethod
    def _give_back(job: Job, reason: str) -> None:
        job.sink.deliver(job.place, Unanswered(maybe_sent=False, reason=reason))
