"""One of a pool's connections to a gateway, over all the sockets that it has one after the other.

It has a thread of its own, which begins with the first item: so a slow handshake holds up nobody
else, and a read never waits for a write. What the gateway has thrown away goes out again on the
next socket, before anything else and in order.
"""

import logging
import random
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pushtasks.net.line import Line, words
from pushtasks.net.protocol import Ending, SilentProtocol
from pushtasks.net.tickets import Ticket
from pushtasks.results import Verdict

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

#: Seconds before another attempt to connect: doubled with each that fails.
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
#: Seconds for which a refusal is still to be expected, when a connection is closed in peace.
LATE: Final = 5.0
#: The longest sleep of the thread, seconds.
NAP: Final = 60.0
#: Rings of the bell that are read at once.
RINGS: Final = 4096

CLOSED: Final = "this process is shutting down"
NEVER_AGAIN: Final = Verdict(
    None, "thrown away by the gateway, and there was no time to send it again"
)


@dataclass(frozen=True, slots=True)
class Gateway(Generic[Item]):
    """What a connection needs to know of where it leads."""

    #: `host:port`, for people.
    name: str
    #: Returns a connected socket, or raises OSError in time.
    dial: Callable[[], ssl.SSLSocket]
    #: Begins the protocol of a connection.
    protocol: Callable[[], SilentProtocol[Ticket[Item]]]
    #: Hears of an item that was settled as accepted, and is not.
    rejected_late: Callable[[Item, Verdict], None]
    assume_sent: float
    #: Seconds that an item may wait for its turn while nothing moves.
    timeout: float
    #: Seconds without use after which a connection is replaced.
    idle_age: float


class Connection(Generic[Item]):
    """A thread that keeps a line to a gateway, and what waits for it."""

    def __init__(self, gateway: Gateway[Item], settled: Callable[[int], None]) -> None:
        """Prepare; nothing is opened before the first item.

        Args:
            gateway: Where it leads.
            settled: Is told how many items have their verdicts, each once.
        """
        self._gateway = gateway
        self._settled = settled
        self._inbox: deque[Ticket[Item]] = deque()
        self._line: Line[Item] | None = None
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._ear.settimeout(0)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop_at: float | None = None
        #: When something last went forward.
        self._moved_at = 0.0
        self._failures = 0
        self._dial_at = 0.0
        self._problem = ""
        #: Sockets opened so far.
        self.opened = 0

    # Any thread ----------------------------------------------------------------------------------

    @property
    def load(self) -> tuple[bool, int]:
        """What to choose the least of: trouble, then items that are not settled."""
        line = self._line
        return self._failures > 0, len(self._inbox) + (len(line.unsettled) if line else 0)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def add(self, tickets: Iterable[Ticket[Item]]) -> None:
        """Take items; their verdicts come from the thread."""
        with self._lock:
            self._inbox.extend(tickets)
            if self._thread is None:
                name = f"pushtasks-gateway-{self._gateway.name}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
        self._ring()

    def stop(self, drain: float) -> None:
        """Let what waits be written and confirmed in so many seconds; `join` waits for it."""
        self._stop_at = time.monotonic() + drain
        self._ring()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join(timeout)

    def _ring(self) -> None:
        try:
            self._bell.send(b"\0", socket.MSG_DONTWAIT)
        except BlockingIOError:  # it has been rung often enough
            return
        except OSError:  # the thread has ended
            return

    # The thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._turn()
                self._sleep()
        except Exception:
            logger.exception("The connection to gateway %s failed", self._gateway.name)
            raise
        finally:
            self._shut_down()

    def _turn(self) -> None:
        now = time.monotonic()
        line = self._line
        if line and line.is_idle and now - line.used_at > self._gateway.idle_age:
            self._hang_up()  # it may have vanished without a word, as NAT lets idle ones
        if self._inbox and self._line is None and now >= self._dial_at:
            self._dial()
        if self._line is not None:
            self._converse(self._line)
        self._expire()

    def _converse(self, line: Line[Item]) -> None:
        """Hand items over, see what has come of earlier ones, and whether it is the end."""
        self._fill(line)
        now = time.monotonic()
        ending = line.advance(now)
        self._settle((ticket, line.acceptance(ticket)) for ticket in line.take_accepted(now))
        if ending:
            self._end(line, ending)

    def _fill(self, line: Line[Item]) -> None:
        inbox = self._inbox
        while inbox and line.has_room:
            ticket = inbox.popleft()
            line.put(ticket)
            self._moved_at = time.monotonic()
            if ticket.confirm and not (inbox and inbox[0].batch is ticket.batch):
                line.confirm()
        if self._stop_at is not None and not inbox and line.age < LATE:
            line.confirm()

    def _dial(self) -> None:
        try:
            connected = self._gateway.dial()
        except OSError as error:
            self._problem = f"{self._gateway.name} cannot be reached ({words(error)})"
            self._fail()
            self._give_up(self._problem)
            return
        self.opened += 1
        self._moved_at = time.monotonic()
        gateway = self._gateway
        self._line = Line(connected, gateway.protocol(), gateway.assume_sent, gateway.timeout)
        self._selector.register(connected, selectors.EVENT_READ)

    def _fail(self) -> None:
        """Let some time pass before the next attempt to connect."""
        pause = min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 16)
        self._dial_at = time.monotonic() + pause * random.uniform(0.75, 1.25)  # noqa: S311

    def _end(self, line: Line[Item], ending: Ending[Ticket[Item]]) -> None:
        """Take up what a connection has left behind."""
        self._hang_up()
        if ending.unknown and line.unsettled:
            self._problem = f"{self._gateway.name}: {ending.reason}"
            self._fail()
        else:
            self._failures = 0
        self._moved_at = time.monotonic()
        if ending.forgotten:
            logger.error(
                "Gateway %s threw away %d notifications that count as accepted and are no longer"
                " in the record of this connection: they are lost",
                self._gateway.name,
                ending.forgotten,
            )
        self._settle((ticket, line.acceptance(ticket)) for ticket in ending.accepted)
        self._reject(ending)
        unwritten = [ticket for ticket in ending.unknown if line.is_unwritten(ticket)]
        self._settle(
            (ticket, _unknown(ticket, ending))
            for ticket in ending.unknown
            if not line.is_unwritten(ticket)
        )
        self._put_back([*ending.lost, *unwritten])

    def _put_back(self, tickets: list[Ticket[Item]]) -> None:
        for ticket in tickets:
            ticket.since = self._moved_at
        self._inbox.extendleft(reversed(tickets))

    def _reject(self, ending: Ending[Ticket[Item]]) -> None:
        if ending.rejected is None:
            return
        ticket, verdict = ending.rejected
        if ticket.is_settled:
            self._gateway.rejected_late(ticket.item, verdict)
        else:
            self._settle([(ticket, verdict)])

    def _settle(self, verdicts: Iterable[tuple[Ticket[Item], Verdict]]) -> None:
        count = 0
        for ticket, verdict in verdicts:
            if not ticket.is_settled:
                ticket.settle(verdict)
                count += 1
        if count:
            self._settled(count)

    def _expire(self) -> None:
        """Give up what has waited long enough while nothing moved."""
        now = time.monotonic()
        oldest = self._inbox[0].since if self._inbox else now
        if now - max(oldest, self._moved_at) > self._gateway.timeout:
            self._give_up(self._problem or f"{self._gateway.name} took nothing in time")

    def _give_up(self, reason: str) -> None:
        """Hand back what waits; what counts as accepted waits on, for it has nobody else."""
        waiting = [self._inbox.popleft() for _ in range(len(self._inbox))]
        kept = [ticket for ticket in waiting if ticket.is_settled]
        self._settle((ticket, Verdict(None, reason)) for ticket in waiting)
        self._inbox.extendleft(reversed(kept))

    def _sleep(self) -> None:
        now = time.monotonic()
        waits = [0.0 if self._is_over() else NAP]
        if self._stop_at is not None:
            waits.append(self._stop_at - now)
        if self._inbox and self._line is None:
            waits.append(self._dial_at - now)
            waits.append(max(self._inbox[0].since, self._moved_at) + self._gateway.timeout - now)
        if self._line is not None:
            look = 0.0 if self._inbox and self._line.has_room else self._line.next_look(now)
            waits += [] if look is None else [look]
            writes = selectors.EVENT_WRITE if self._line.wants_to_write else 0
            self._selector.modify(self._line.socket, selectors.EVENT_READ | writes)
        for key, _ in self._selector.select(max(0.0, min(waits))):
            if key.fileobj is self._ear:
                self._ear.recv(RINGS)

    def _is_over(self) -> bool:
        if self._stop_at is None:
            return False
        line = self._line
        is_done = not self._inbox and (line is None or (line.is_idle and line.age >= LATE))
        return is_done or time.monotonic() >= self._stop_at

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._selector.unregister(line.socket)
            line.close()

    def _shut_down(self) -> None:
        """Settle everything; the thread ends, and the next item begins another."""
        if self._line is not None:
            self._end(self._line, self._line.give_up(CLOSED))
        with self._lock:
            waiting = [self._inbox.popleft() for _ in range(len(self._inbox))]
            self._thread = None
        for ticket in waiting:
            if ticket.is_settled:
                self._gateway.rejected_late(ticket.item, NEVER_AGAIN)
        self._settle((ticket, Verdict(None, CLOSED)) for ticket in waiting)
        if self._stop_at is not None:
            self._selector.close()
            self._bell.close()
            self._ear.close()


def _unknown(ticket: Ticket[Item], ending: Ending[Ticket[Item]]) -> Verdict:
    number = str(ticket.identifier)
    return Verdict(None, ending.reason, number, maybe_sent=ending.maybe_taken)
