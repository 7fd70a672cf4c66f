"""One libcurl multi handle and the connections in it, from its first push to its last.

A generation is replaced as a whole: when its connections have gone silent, or when the provider
wants new ones. What it still has in flight is left to end there.

A server may allow a single stream at first (APNs does until it has seen a valid provider token) and
says so in SETTINGS, which a client can only have read after it has opened the connection. libcurl
meanwhile assumes a hundred. So a new connection is *gated*: it carries one request until the first
answer has come over it. That holds for those that libcurl opens by itself after a GOAWAY, too.
"""

import math
import selectors
import time
from collections.abc import Iterator
from typing import Any, Final, cast

import pycurl

from pushtasks.net.http import Answer
from pushtasks.net.origin import Origin
from pushtasks.net.transfer import TRIED_OFTEN_ENOUGH, Job, Transfer
from pushtasks.net.window import Window

MULTIPLEX: Final = 2
EVENTS: Final = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}
ACTIONS: Final = {
    selectors.EVENT_READ: pycurl.CSELECT_IN,
    selectors.EVENT_WRITE: pycurl.CSELECT_OUT,
    selectors.EVENT_READ | selectors.EVENT_WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
#: Seconds without any answer after which connections count as silent: at least PATIENCE, and so
#: many times the slowest answer of late, but no more than PATIENCE_LIMIT.
PATIENCE: Final = 1.5
PATIENCE_FACTOR: Final = 4.0
PATIENCE_LIMIT: Final = 10.0
#: How much of the slowest answer is remembered from one answer to the next.
SLOWEST_KEPT: Final = 0.99
CLOSED: Final = "the connection was closed before an answer came"

#: What `info_read` returns of a multi handle that holds nothing but transfers.
Ended = tuple[int, list[Transfer], list[tuple[Transfer, int, str]]]


class Generation:
    """Connections to one origin, and the requests in flight over them."""

    def __init__(self, origin: Origin, selector: selectors.BaseSelector, slowest: float) -> None:
        self.origin = origin
        self.window = Window(origin.connections * origin.streams)
        #: Connections opened so far.
        self.connections = 0
        #: Why no connection could be opened, once that is known.
        self.unreachable: str | None = None
        #: Seconds that the slowest answer of late took.
        self.slowest = slowest
        #: Monotonic time at which libcurl wants to look at its timers.
        self.due = math.inf
        self._selector = selector
        self._heard = time.monotonic()
        self._timed_out = False
        self._opening = 0
        self._gated = True
        self._proven: set[int] = set()
        self._idle: list[Transfer] = []
        self._busy: set[Transfer] = set()
        self._multi = self._make_multi()
        self._open_connections()

    def _make_multi(self) -> pycurl.CurlMulti:
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_PIPELINING, MULTIPLEX)
        multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, self.origin.connections)
        multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, 1)
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        return multi

    def _open_connections(self) -> None:
        for _ in range(self.origin.connections):
            transfer = Transfer(self.origin, self)
            transfer.open_only()
            self._opening += 1
            self._multi.add_handle(transfer)

    @property
    def room(self) -> int:
        """How many more requests may be started now."""
        if self._opening:
            return 0
        return (1 if self._gated else self.window.size) - len(self._busy)

    @property
    def in_flight(self) -> int:
        """Requests whose answers are awaited."""
        return len(self._busy)

    @property
    def is_proven(self) -> bool:
        """Whether an answer has come over these connections."""
        return bool(self._proven)

    @property
    def is_done(self) -> bool:
        """Whether nothing is under way any more."""
        return not self._busy and not self._opening

    @property
    def silent_from(self) -> float:
        """Monotonic time from which the connections count as silent if no answer comes before."""
        if self._timed_out:
            return self._heard
        if not self._busy:
            return math.inf
        return self._heard + min(PATIENCE_LIMIT, max(PATIENCE, PATIENCE_FACTOR * self.slowest))

    def start(self, job: Job, now: float) -> None:
        """Send a request; there must be room."""
        if not self._busy:
            self._heard = now
        transfer = self._idle.pop() if self._idle else Transfer(self.origin, self)
        transfer.load(job, now)
        self._busy.add(transfer)
        self._multi.add_handle(transfer)

    def ready(self, descriptor: int, events: int) -> None:
        """Let libcurl read or write a socket that is ready."""
        self._multi.socket_action(descriptor, ACTIONS[events])

    def tick(self, now: float) -> None:
        """Let libcurl look at its timers if one is due."""
        if self.due <= now:
            self.due = math.inf
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def finished(self, now: float) -> Iterator[tuple[Job, Answer | None]]:
        """Yield each job that has ended with its answer, or with None if it has to go out again."""
        if self._gated:
            # libcurl may have opened a connection by itself; only here may its limit be set.
            self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, 1)
        left = 1
        while left:
            left, answered, failed = cast("Ended", self._multi.info_read())
            for transfer in answered:
                self._hear(transfer, now)
                if transfer.job:
                    yield transfer.job, transfer.response()
                self._release(transfer)
            for transfer, code, text in failed:
                if transfer.job is None:
                    self._opened(transfer, code, text)
                else:
                    yield transfer.job, self._failure(transfer, code, text)
                    self._release(transfer)

    def opened(self) -> None:
        """Hear from libcurl that there is a new connection: one request, until it has answered."""
        self.connections += 1
        self._gated = True

    def abandon(self) -> Iterator[tuple[Job, Answer]]:
        """Yield each job in flight, unanswered, and forget it."""
        for transfer in self._busy:
            if transfer.job:
                yield transfer.job, transfer.failure(pycurl.E_ABORTED_BY_CALLBACK, CLOSED)
            self._multi.remove_handle(transfer)
        self._busy.clear()

    def close(self) -> None:
        """Close all connections at once."""
        self._multi.close()
        for key in list(self._selector.get_map().values()):
            if key.data == self.ready:
                self._selector.unregister(key.fd)

    def _hear(self, transfer: Transfer, now: float) -> None:
        self._heard, self._timed_out = now, False
        self.slowest = max(now - transfer.started, self.slowest * SLOWEST_KEPT)
        if not self._gated:
            return
        connection = transfer.getinfo(pycurl.CONN_ID)
        if connection not in self._proven:
            self._proven.add(connection)
            self._gated = False
            self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, self.origin.streams)

    def _failure(self, transfer: Transfer, code: int, text: str) -> Answer | None:
        if code == pycurl.E_OPERATION_TIMEDOUT and self._heard <= transfer.started:
            self._timed_out = True
        if text.startswith(TRIED_OFTEN_ENOUGH):
            transfer.forget()
            return None
        return transfer.failure(code, text)

    def _opened(self, transfer: Transfer, code: int, text: str) -> None:
        self._opening -= 1
        if code != pycurl.E_ABORTED_BY_CALLBACK:  # which is how a transfer that opens ends well
            self.unreachable = text or f"libcurl error {code}"
        self._multi.remove_handle(transfer)
        transfer.close()

    def _release(self, transfer: Transfer) -> None:
        self._busy.discard(transfer)
        self._multi.remove_handle(transfer)
        if transfer.is_reusable:
            transfer.job = None
            self._idle.append(transfer)
        else:
            transfer.close()

    def _on_timer(self, milliseconds: int) -> None:
        self.due = math.inf if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _on_socket(self, event: int, descriptor: int, _multi: Any, _data: Any) -> None:
        selector = self._selector
        known = descriptor in selector.get_map()
        if event == pycurl.POLL_REMOVE:
            if known:
                selector.unregister(descriptor)
        elif known:
            selector.modify(descriptor, EVENTS[event], self.ready)
        else:
            selector.register(descriptor, EVENTS[event], self.ready)
