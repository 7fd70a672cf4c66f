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
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pycurl

from pushtasks import observers
from pushtasks.net.http import Answer
from pushtasks.net.origin import Origin
from pushtasks.net.patience import Patience
from pushtasks.net.transfer import TRIED_OFTEN_ENOUGH, UNUSABLE, Job, Transfer, explain
from pushtasks.net.window import Window
from pushtasks.observers import Answers

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
OK: Final = 200
#: Less than the number of any connection.
NONE: Final = -1
#: Requests in a row that one of several connections may leave unanswered while others answer.
BORNE: Final = 2
CLOSED: Final = "the connection was closed before an answer came"


class Generation:
    """Connections to one origin, and the requests in flight over them."""

    def __init__(
        self, origin: Origin, selector: selectors.BaseSelector, patience: Patience
    ) -> None:
        self.origin = origin
        self.window = Window(origin.connections * origin.streams)
        #: Connections opened so far.
        self.connections = 0
        #: Of the first ones, those that could be opened.
        self.reached = 0
        #: Connections that the server has ended, as far as others have answered in their place.
        self.replaced = 0
        #: Monotonic time at which libcurl wants to look at its timers.
        self.due = math.inf
        self._selector = selector
        self._patience = patience
        self._heard = time.monotonic()
        self._timed_out = False
        #: Number of a connection that leaves requests unanswered while others answer → how many.
        self._unanswered: Counter[int] = Counter()
        self._is_partly_silent = False
        self._began = self._heard
        self._opening: dict[pycurl.Curl, Transfer] = {}
        #: Seconds that it takes to open a connection.
        self._setup = 0.0
        self._failure: str | None = None
        self._gated = True
        self._gated_since = 0.0
        #: Number of the latest connection over which an answer has come; libcurl counts them up.
        self._proven = NONE
        self._idle: list[Transfer] = []
        self._busy: dict[pycurl.Curl, Transfer] = {}
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
            try:
                transfer = Transfer(self.origin, self)
                transfer.open_only()
            except UNUSABLE as error:
                self._failure = f"the connection cannot be set up: {error}"
                return
            self._opening[transfer.curl] = transfer
            self._multi.add_handle(transfer.curl)

    @property
    def unreachable(self) -> str | None:
        """Why not a single connection could be opened, once that is known."""
        return None if self._opening or self.reached else self._failure

    @property
    def room(self) -> int:
        """How many more requests may be started now."""
        if self._opening:
            return 0
        return (1 if self._gated else self.window.size) - len(self._busy)

    @property
    def streams(self) -> int:
        """Requests in flight."""
        return len(self._busy)

    @property
    def is_proven(self) -> bool:
        """Whether an answer has come over these connections."""
        return self._proven > NONE

    @property
    def is_done(self) -> bool:
        """Whether nothing is under way any more."""
        return not self._busy and not self._opening

    @property
    def silent_from(self) -> float:
        """Monotonic time from which the connections count as silent if no answer comes before.

        One of several that is silent has all of them replaced, for nobody can choose among them.
        """
        if self._is_partly_silent:
            return -math.inf
        if self._timed_out:
            return self._heard
        if not self._busy:
            return math.inf
        return self._heard + self._patience.seconds

    def start(self, job: Job, now: float) -> None:
        """Send a request; there must be room.

        Raises:
            UNUSABLE: The request is none that could be sent.
        """
        transfer = self._idle.pop() if self._idle else Transfer(self.origin, self)
        transfer.load(job, now)
        if not self._busy:
            self._heard = now
        self._busy[transfer.curl] = transfer
        self._multi.add_handle(transfer.curl)

    def ready(self, descriptor: int, events: int) -> None:
        """Let libcurl read or write a socket that is ready."""
        self._multi.socket_action(descriptor, ACTIONS[events])

    def tick(self, now: float) -> None:
        """Let libcurl look at its timers if one is due."""
        if self.due <= now:
            self.due = math.inf
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def finished(self, now: float) -> list[tuple[Job, Answer | None]]:
        """Return each job that has ended, with its answer or, if it has to go out again, None."""
        if self._gated:
            # libcurl may have opened a connection by itself; only here may its limit be set.
            self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, 1)
        ended: list[tuple[Job, Answer | None]] = []
        left = 1
        while left:
            left, answered, failed = self._multi.info_read()
            if answered:
                self._take_answers(answered, now, ended)
            for curl, code, text in failed:
                if curl in self._opening:
                    self._opened(curl, code, text)
                else:
                    transfer = self._busy[curl]
                    failure = self._failure_of(transfer, code, text)
                    ended.append((self._release(transfer), failure))
        return ended

    def _take_answers(
        self, curls: list[pycurl.Curl], now: float, ended: list[tuple[Job, Answer | None]]
    ) -> None:
        """Take answers that came together, and learn once from all of them: it costs less."""
        busy, remove, free = self._busy, self._multi.remove_handle, self._free
        started: list[float] = []
        accepted: list[float] = []
        for curl in curls:
            transfer = busy.pop(curl)
            answer = transfer.response()
            started.append(transfer.started)
            if answer.status == OK:
                accepted.append(transfer.started)
            if self._gated:
                self._open_gate(transfer)
            if self._unanswered:
                del self._unanswered[curl.getinfo(pycurl.CONN_ID)]
            remove(curl)
            ended.append((free(transfer), answer))
        self._heard, self._timed_out = now, False
        slowest = now - min(started)
        self._patience.note(slowest, len(curls))
        if observers.registered:
            observers.tell(Answers(self.origin.server, len(curls), slowest))
        if accepted:
            self.window.note(now - max(accepted), len(accepted))

    def opened(self) -> None:
        """Hear from libcurl that there is a new connection: one request, until it has answered."""
        self.connections += 1
        self._gated, self._gated_since = True, time.monotonic()

    def abandon(self) -> Iterator[tuple[Job, Answer]]:
        """Yield each job in flight, unanswered, and forget it."""
        for transfer in list(self._busy.values()):
            failure = transfer.failure(pycurl.E_ABORTED_BY_CALLBACK, CLOSED)
            yield self._release(transfer), failure

    def close(self) -> None:
        """Close all connections at once."""
        self._multi.close()
        for key in list(self._selector.get_map().values()):
            if key.data == self.ready:
                self._selector.unregister(key.fd)

    def _open_gate(self, transfer: Transfer) -> None:
        """Open the gate if the new connection has answered, or does not come to be used.

        The latter is seen when another connection answers a request that began when the new one
        must long have been open.
        """
        connection = transfer.curl.getinfo(pycurl.CONN_ID)
        is_new = connection > self._proven
        if is_new or transfer.started > self._gated_since + self._setup:
            self.replaced += is_new and connection >= self.origin.connections
            self._proven = max(connection, self._proven)
            self._gated = False
            self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, self.origin.streams)

    def _failure_of(self, transfer: Transfer, code: int, text: str) -> Answer | None:
        if code == pycurl.E_OPERATION_TIMEDOUT:
            if self._heard <= transfer.started:
                self._timed_out = True
            elif not transfer.has_left:  # others had the streams that the server allows
                return None
            elif self.origin.connections > 1:
                self._suspect(transfer.curl.getinfo(pycurl.CONN_ID))
        if text.startswith(TRIED_OFTEN_ENOUGH):
            transfer.forget()
            return None
        return transfer.failure(code, text)

    def _suspect(self, connection: int) -> None:
        self._unanswered[connection] += 1
        if self._unanswered[connection] > BORNE:
            self._is_partly_silent = True

    def _opened(self, curl: pycurl.Curl, code: int, text: str) -> None:
        transfer = self._opening.pop(curl)
        if code == pycurl.E_ABORTED_BY_CALLBACK:  # which is how a transfer that opens ends well
            self.reached += 1
            self._setup = time.monotonic() - self._began
        else:
            way = "through the proxy: " if self.origin.proxy else ""
            self._failure = way + explain(code, text, "no connection")
        self._multi.remove_handle(curl)
        transfer.close()

    def _release(self, transfer: Transfer) -> Job:
        del self._busy[transfer.curl]
        self._multi.remove_handle(transfer.curl)
        return self._free(transfer)

    def _free(self, transfer: Transfer) -> Job:
        """Keep a transfer, or its like, for the next job; return the one that is over."""
        job = transfer.unload()
        if transfer.is_reusable:
            self._idle.append(transfer)
        else:
            transfer.close()
        return job

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
