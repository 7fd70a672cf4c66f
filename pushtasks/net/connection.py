"""One of a pool's connections to a gateway, over all the sockets that it has one after the other.

It has a thread of its own, which begins with the first item: so a slow handshake holds up nobody
else, and a read never waits for a write. What the gateway has thrown away goes out again on the
next socket, before anything else and in order.
"""

import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pushtasks import observers
from pushtasks.net.backoff import Backoff
from pushtasks.net.doorbell import Doorbell
from pushtasks.net.line import LATE, Line, words
from pushtasks.net.protocol import Ending, SilentProtocol
from pushtasks.net.tickets import Ticket
from pushtasks.observers import Connections
from pushtasks.results import Verdict

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

#: The longest sleep of the thread, seconds.
NAP: Final = 60.0

CLOSED: Final = "this process is shutting down"
IDLE: Final = "it was idle for too long"
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
    #: Hears of an item that was settled as accepted, and is not, or perhaps not.
    rejected_late: Callable[[Item, Verdict], None]
    assume_sent: float
    #: Seconds that an item may wait for a connection.
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
        #: Accepted by silence and thrown away all the same: they go before all others.
        self._again: deque[Ticket[Item]] = deque()
        self._line: Line[Item] | None = None
        #: Guards the thread's beginning and end, and its bell.
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bell: Doorbell
        self._stop_at: float | None = None
        #: When the gateway was last known to be well.
        self._well_at = 0.0
        self._backoff = Backoff()
        self._problem = ""
        #: Sockets opened so far.
        self.opened = 0

    # Any thread ----------------------------------------------------------------------------------

    @property
    def load(self) -> tuple[bool, int]:
        """What to choose the least of: a pause after trouble, then items that are not settled."""
        line = self._line
        is_paused = line is None and self._backoff.is_paused
        return is_paused, len(self._inbox) + (len(line.pending) if line else 0)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def add(self, tickets: Iterable[Ticket[Item]]) -> None:
        """Take items; their verdicts come from the thread.

        Raises:
            RuntimeError: There is none, and the system has none to spare; nothing was taken.
        """
        with self._lock:
            if self._thread is None:
                self._start()
            self._inbox.extend(tickets)
            self._bell.ring()

    def stop(self, drain: float) -> None:
        """Let what waits be written and confirmed in so many seconds; `join` waits for it."""
        with self._lock:
            self._stop_at = time.monotonic() + drain
            if self._thread is not None:
                self._bell.ring()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _start(self) -> None:
        self._bell = Doorbell()
        name = f"pushtasks-gateway-{self._gateway.name}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._bell.close()
            raise
        self._thread = thread

    # The thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        reason = CLOSED
        try:
            self._turn()
            while not self._is_over():
                self._sleep()
                self._turn()
        except Exception as error:
            logger.exception("The connection to gateway %s failed", self._gateway.name)
            reason = f"{self._gateway.name}: {type(error).__name__}: {error}"
        finally:
            self._shut_down(reason)

    def _turn(self) -> None:
        now = time.monotonic()
        line = self._line
        if line and line.is_idle and now - line.used_at > self._gateway.idle_age:
            # It may have vanished without a word, as NAT lets idle ones.
            self._end(line, line.advance(now) or line.give_up(IDLE))
        if self._waiting and self._line is None and not self._backoff.is_paused:
            self._dial()
        if self._line is not None:
            self._converse(self._line)
        if self._line is None and time.monotonic() >= self._expiry:
            self._give_up(self._problem)

    @property
    def _waiting(self) -> deque[Ticket[Item]]:
        """What goes out next; empty if nothing waits."""
        return self._again or self._inbox

    @property
    def _expiry(self) -> float:
        """When what waits for a connection has waited long enough."""
        oldest = self._inbox[0].since if self._inbox else time.monotonic()
        return max(oldest, self._well_at) + self._gateway.timeout

    def _dial(self) -> None:
        try:
            connected = self._gateway.dial()
        except OSError as error:
            self._fail(f"cannot be reached ({words(error)})")
            self._give_up(self._problem)
            return
        self.opened += 1
        gateway = self._gateway
        if observers.registered:
            observers.tell(Connections(gateway.name, opened=1))
        self._line = Line(connected, gateway.protocol(), gateway.assume_sent, gateway.timeout)
        self._bell.watch(connected)

    def _converse(self, line: Line[Item]) -> None:
        """Hand items over, and see what has come of earlier ones; an answer tells it best."""
        self._fill(line)
        now = time.monotonic()
        ending = line.advance(now)
        if ending:
            self._end(line, ending)
        elif accepted := line.take_accepted(now):
            self._backoff.succeed()
            self._settle((ticket, line.acceptance(ticket)) for ticket in accepted)

    def _fill(self, line: Line[Item]) -> None:
        while line.has_room and (waiting := self._waiting):
            ticket = waiting[0]
            line.put(ticket)
            waiting.popleft()
            if ticket.confirm and not (waiting and waiting[0].batch is ticket.batch):
                line.confirm()
        if self._stop_at is not None and not self._waiting and line.may_hear:
            line.confirm()

    def _fail(self, problem: str) -> None:
        """Let some time pass before the next attempt to connect."""
        self._problem = f"{self._gateway.name} {problem}"
        self._backoff.fail()

    def _end(self, line: Line[Item], ending: Ending[Ticket[Item]]) -> None:
        """Take up what a connection has left behind."""
        self._hang_up()
        if ending.unknown:
            self._leave_open(line, ending)
            return
        self._well_at = time.monotonic()
        self._backoff.succeed()
        if ending.forgotten:
            logger.error(
                "Gateway %s threw away %d notifications that count as accepted and are no longer"
                " in the record of this connection: they are lost",
                self._gateway.name,
                ending.forgotten,
            )
        accepted = [ticket for ticket in ending.accepted if not ticket.is_settled]
        self._settle((ticket, line.acceptance(ticket)) for ticket in accepted)
        self._settle([ending.rejected] if ending.rejected else [], is_late=True)
        self._put_back(ending.lost)

    def _leave_open(self, line: Line[Item], ending: Ending[Ticket[Item]]) -> None:
        """Nobody says what has become of what is pending; but what is unwritten, nobody has."""
        if line.may_hear and len(ending.unknown) > len(line.pending):
            logger.warning(
                "Gateway %s: %s; of what was written within the last %g s and counts as accepted,"
                " some may have been thrown away",
                self._gateway.name,
                ending.reason,
                LATE,
            )
        is_taken = ending.maybe_taken
        taken = [one for one in line.pending if is_taken and not line.is_unwritten(one)]
        self._put_back(list(line.pending)[len(taken) :])
        if line.has_moved:
            self._well_at = time.monotonic()
            if is_taken and not taken:
                return  # an end in peace
        self._fail(f"failed: {ending.reason}")
        if not is_taken:
            self._give_up(self._problem)
        self._settle(((one, _unknown(one, ending.reason)) for one in taken), is_late=True)

    def _put_back(self, tickets: Iterable[Ticket[Item]]) -> None:
        for ticket in reversed(list(tickets)):
            (self._again if ticket.is_settled else self._inbox).appendleft(ticket)

    def _settle(
        self, verdicts: Iterable[tuple[Ticket[Item], Verdict]], *, is_late: bool = False
    ) -> None:
        """Give tickets their verdicts; of those that have one, tell if they are late now."""
        count = 0
        for ticket, verdict in verdicts:
            if not ticket.is_settled:
                ticket.settle(verdict)
                count += 1
            elif is_late:
                self._tell_late(ticket.item, verdict)
        if count:
            self._settled(count)

    def _tell_late(self, item: Item, verdict: Verdict) -> None:
        try:
            self._gateway.rejected_late(item, verdict)
        except Exception:
            logger.exception("A late refusal by gateway %s is not told", self._gateway.name)

    def _give_up(self, reason: str) -> None:
        """Hand back what waits; what counts as accepted waits on, for it has nobody else."""
        waiting = [self._inbox.popleft() for _ in range(len(self._inbox))]
        self._settle((ticket, Verdict(None, reason)) for ticket in waiting)

    def _sleep(self) -> None:
        now = time.monotonic()
        wake_at = [now + NAP]
        if self._stop_at is not None:
            wake_at.append(self._stop_at)
        line = self._line
        if line is None:
            wake_at += [self._backoff.until] if self._waiting else []
            wake_at += [self._expiry] if self._inbox else []
        else:
            look = 0.0 if self._waiting and line.has_room else line.next_look(now)
            wake_at += [] if look is None else [now + look]
            self._bell.wake_to_write(line.socket, wanted=line.wants_to_write)
        self._bell.sleep(max(0.0, min(wake_at) - now))

    def _is_over(self) -> bool:
        if self._stop_at is None:
            return False
        line = self._line
        is_done = not self._waiting and (line is None or (line.is_idle and not line.may_hear))
        return is_done or time.monotonic() >= self._stop_at

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._bell.unwatch(line.socket)
            line.close()
            if observers.registered:
                observers.tell(Connections(self._gateway.name, closed=1))

    def _shut_down(self, reason: str) -> None:
        """Settle everything; the thread ends, and the next item begins another."""
        try:
            if self._line is not None:
                self._end(self._line, self._line.give_up(reason))
        finally:
            with self._lock:
                self._thread = None
                self._bell.close()
                waiting = [self._inbox.popleft() for _ in range(len(self._inbox))]
            self._settle((ticket, Verdict(None, reason)) for ticket in waiting)
            again = [self._again.popleft() for _ in range(len(self._again))]
            self._settle(((ticket, NEVER_AGAIN) for ticket in again), is_late=True)


def _unknown(ticket: Ticket[Item], reason: str) -> Verdict:
    if ticket.is_settled:
        reason = f"thrown away by the gateway, sent again, and {reason}"
    return Verdict(None, reason, str(ticket.identifier), maybe_sent=True)
