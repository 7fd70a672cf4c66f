"""One opened connection to a gateway: its socket, its protocol, and what is on its way.

It writes while it reads, many items in one write. An item that was written counts as accepted when
the other side has had it for `assume_sent` seconds and has not complained: that is, when its kernel
has acknowledged the bytes, and not when ours has taken them.
"""

import math
import ssl
import time
from collections import deque
from dataclasses import replace
from typing import Final, Generic, TypeVar

from pushtasks.net.protocol import Ending, GarbledAnswer, SilentProtocol
from pushtasks.net.sockets import unacknowledged
from pushtasks.net.tickets import Ticket
from pushtasks.results import Verdict

Item = TypeVar("Item")

#: Bytes that wait to be written: some frames of the largest size, in a few TLS records.
BUFFER: Final = 64 * 1024
#: Bytes of one read; an answer has six.
CHUNK: Final = 4096
#: Seconds in which an answer may still be read after a write has failed.
LAST_WORDS: Final = 1.0
#: Of OpenSSL's names for the alerts by which a server refuses a certificate.
REFUSALS: Final = ("CERT", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
#: Seconds between looks at what is acknowledged, of which nothing tells.
LOOK: Final = 0.02


class Line(Generic[Item]):
    """One connection, from the handshake to its end. Used by one thread."""

    def __init__(
        self,
        connected: ssl.SSLSocket,
        protocol: SilentProtocol[Ticket[Item]],
        assume_sent: float,
        timeout: float,
    ) -> None:
        """Begin.

        Args:
            connected: Its handshake is over; it is not blocking from now on.
            protocol: Of this connection alone.
            assume_sent: Seconds of silence that count as acceptance.
            timeout: Seconds for which nothing has to be acknowledged or confirmed.
        """
        connected.settimeout(0)
        self.socket = connected
        self.opened_at = self.used_at = self._moved_at = time.monotonic()
        #: Written, not yet settled, in order.
        self.unsettled: deque[Ticket[Item]] = deque()
        self._protocol = protocol
        self._assume_sent = assume_sent
        self._timeout = timeout
        self._out = bytearray()
        self._puts = 0
        self._written = 0
        self._acknowledged = 0
        #: (bytes acknowledged, when that was first seen), oldest first.
        self._seen: deque[tuple[int, float]] = deque()
        #: Bytes for which silence has lasted long enough.
        self._accepted = 0
        self._failure: str | None = None
        self._failed_at = 0.0

    @property
    def has_room(self) -> bool:
        """Whether it takes another item."""
        return (
            len(self._out) < BUFFER
            and not self._is_record_full()
            and not self._protocol.is_confirming
            and self._failure is None
        )

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self.unsettled and not self._out and not self._protocol.is_confirming

    @property
    def wants_to_write(self) -> bool:
        """Whether there is something that the socket has not taken."""
        return bool(self._out) and self._failure is None

    def put(self, ticket: Ticket[Item]) -> None:
        """Take an item; it is written with others."""
        ticket.identifier, data = self._protocol.send(ticket)
        self._append(data)
        ticket.end = self._written + len(self._out)
        ticket.number = self._puts
        self._puts += 1
        if not ticket.is_settled:
            self.unsettled.append(ticket)

    def confirm(self) -> None:
        """Ask the other side to confirm all before; no item is taken any more."""
        if not self._protocol.is_confirming and self._failure is None:
            self._append(self._protocol.confirm() or b"")

    def advance(self, now: float) -> Ending[Ticket[Item]] | None:
        """Write and read what goes without waiting; return what the end says, if it has come."""
        self._write(now)
        return self._read() or self._look(now)

    def take_accepted(self, now: float) -> list[Ticket[Item]]:
        """Return the items for which silence has lasted long enough, and forget them."""
        while self._seen and self._seen[0][1] <= now - self._assume_sent:
            self._accepted = self._seen.popleft()[0]
        accepted = []
        while self.unsettled and self._is_accepted(self.unsettled[0]):
            accepted.append(self.unsettled.popleft())
        return accepted

    def next_look(self, now: float) -> float | None:
        """Return the seconds after which something changes by time alone; None: nothing does."""
        if self._failure is not None or self._acknowledged < self._written:
            return LOOK
        if self._seen:
            return max(0.0, self._seen[0][1] + self._assume_sent - now)
        return self._timeout if self._protocol.is_confirming else None

    @property
    def age(self) -> float:
        """Seconds since the last item was written; without end if none ever was."""
        return time.monotonic() - self.used_at if self._puts else math.inf

    def acceptance(self, ticket: Ticket[Item]) -> Verdict:
        """Return the verdict on an item that counts as accepted."""
        return self._protocol.acceptance(ticket.identifier)

    def give_up(self, reason: str) -> Ending[Ticket[Item]]:
        """Return what is known if this is the end."""
        return self._protocol.end(reason)

    def is_unwritten(self, ticket: Ticket[Item]) -> bool:
        """Tell whether the socket never took the whole of an item, so that nobody has it."""
        return ticket.end > self._written

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _is_accepted(self, ticket: Ticket[Item]) -> bool:
        return ticket.end <= self._accepted and not ticket.confirm

    def _is_record_full(self) -> bool:
        """Whether another item would take the place of one that is not settled."""
        return bool(self.unsettled) and (
            self._puts - self.unsettled[0].number >= self._protocol.limit
        )

    def _append(self, data: bytes) -> None:
        if not self._out and self._acknowledged == self._written:
            self._moved_at = time.monotonic()
        self._out += data

    def _write(self, now: float) -> None:
        try:
            while self.wants_to_write:
                count = self.socket.send(self._out)
                del self._out[:count]
                self._written += count
                self.used_at = now
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError as error:  # an answer may wait to be read all the same
            self._failure, self._failed_at = words(error), now

    def _read(self) -> Ending[Ticket[Item]] | None:
        while True:
            try:
                data = self.socket.recv(CHUNK)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            except OSError as error:
                return self._broken(error)
            if not data:
                return self._protocol.end("the gateway closed the connection without a word")
            try:
                ending = self._protocol.receive(data)
            except GarbledAnswer as error:
                return self._protocol.end(str(error))
            if ending:
                return ending

    def _broken(self, error: OSError) -> Ending[Ticket[Item]]:
        ending = self._protocol.end(f"the connection broke ({self._failure or words(error)})")
        return replace(ending, maybe_taken=False) if _is_refusal(error) else ending

    def _look(self, now: float) -> Ending[Ticket[Item]] | None:
        """See what has been acknowledged, and whether it takes too long."""
        if self._failure is not None:
            is_over = now - self._failed_at > LAST_WORDS
            return self._protocol.end(f"a write failed ({self._failure})") if is_over else None
        if self._acknowledged < self._written:
            acknowledged = self._written - unacknowledged(self.socket)
            if acknowledged > self._acknowledged:
                self._acknowledged, self._moved_at = acknowledged, now
                self._seen.append((acknowledged, now))
        is_waiting = self._out or self._acknowledged < self._written or self._protocol.is_confirming
        if is_waiting and now - self._moved_at > self._timeout:
            what = "confirmed" if self._protocol.is_confirming else "took"
            return self._protocol.end(f"the gateway {what} nothing for {self._timeout:g} s")
        return None


def _is_refusal(error: OSError) -> bool:
    """Tell whether the other side wants no connection with us, as TLS 1.3 lets it say late."""
    reason = (isinstance(error, ssl.SSLError) and error.reason) or ""
    return "ALERT" in reason and any(word in reason for word in REFUSALS)


def words(error: OSError) -> str:
    """Return what an error says, without numbers that only programs read."""
    return error.strerror or str(error) or type(error).__name__
