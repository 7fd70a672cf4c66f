"""One opened connection to a gateway: its socket, its protocol, and what is on its way.

It writes while it reads, many items in one write. An item that was written counts as accepted when
the other side has had it for `assume_sent` seconds and has not complained: that is, when its kernel
has acknowledged the bytes, and not when ours has taken them.
"""

import socket
import ssl
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import Final, Generic, TypeVar

from pushtasks.net.protocol import Ending, GarbledAnswer, SilentProtocol
from pushtasks.net.sockets import unacknowledged
from pushtasks.net.tickets import Ticket
from pushtasks.results import Verdict

Item = TypeVar("Item")

#: Bytes that wait to be written: some frames of the largest size, in a few TLS records.
BUFFER: Final = 64 * 1024
#: Bytes of one write, as many as fit into a TLS record. Of a record that the socket has not taken
#: to its end nobody can read anything; of several, the other side may have read the first.
RECORD: Final = 16 * 1024
#: Bytes of one read; an answer has six.
CHUNK: Final = 4096
#: Seconds in which an answer may still be read after a write has failed.
LAST_WORDS: Final = 1.0
#: Of OpenSSL's names for the alerts by which a server refuses a certificate.
REFUSALS: Final = ("CERT", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
#: Seconds for which a refusal is still to be expected, when a connection is closed in peace.
LATE: Final = 5.0
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
        self.used_at = self._moved_at = time.monotonic()
        #: Neither accepted nor refused on this connection yet, in order.
        self.pending: deque[Ticket[Item]] = deque()
        self._protocol = protocol
        self._assume_sent = assume_sent
        self._timeout = timeout
        self._out = bytearray()
        #: Bytes of the write that the socket has not taken yet: TLS wants the same ones again.
        self._writing = 0
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
        return not self.pending and not self._out and not self._protocol.is_confirming

    @property
    def has_moved(self) -> bool:
        """Whether the other side has ever acknowledged anything."""
        return self._acknowledged > 0

    @property
    def may_hear(self) -> bool:
        """Whether a refusal may still come of what is accepted."""
        is_fresh = self._puts > 0 and time.monotonic() - self.used_at < LATE
        return is_fresh and self._protocol.can_confirm

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
        self.pending.append(ticket)
        if ticket.confirm and self._is_record_full():
            self.confirm()  # a list that is longer than the record: one part after the other

    def confirm(self) -> None:
        """Ask the other side, if it can, to confirm all before; no item is taken any more."""
        protocol = self._protocol
        if protocol.can_confirm and not protocol.is_confirming and self._failure is None:
            self._append(protocol.confirm())

    def advance(self, now: float) -> Ending[Ticket[Item]] | None:
        """Read and write what goes without waiting; return what the end says, if it has come.

        It reads first, for what is written after an answer is thrown away.
        """
        ending = self._read()
        if ending is None:
            self._write(now)
            ending = self._look(now)
        return ending

    def take_accepted(self, now: float) -> list[Ticket[Item]]:
        """Return the items for which silence has lasted long enough, and forget them."""
        while self._seen and self._seen[0][1] <= now - self._assume_sent:
            self._accepted = self._seen.popleft()[0]
        accepted = []
        while self.pending and self._is_accepted(self.pending[0]):
            accepted.append(self.pending.popleft())
        return accepted

    def next_look(self, now: float) -> float | None:
        """Return the seconds after which something changes by time alone; None: nothing does."""
        if self._failure is not None or self._acknowledged < self._written:
            return LOOK
        looks = [self._seen[0][1] + self._assume_sent] if self._seen else []
        if self._is_waiting:
            looks.append(self._moved_at + self._timeout)
        return max(0.0, min(looks) - now) if looks else None

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
        """End the connection, even where a forked process has a copy of the socket."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _is_accepted(self, ticket: Ticket[Item]) -> bool:
        is_silence_enough = not (ticket.confirm and self._protocol.can_confirm)
        return ticket.end <= self._accepted and is_silence_enough

    def _is_record_full(self) -> bool:
        """Whether another item would take the place of one that is pending."""
        return bool(self.pending) and (self._puts - self.pending[0].number >= self._protocol.limit)

    @property
    def _is_waiting(self) -> bool:
        """Whether the other side has something to do, for which it has so much time only."""
        is_unread = bool(self._out) or self._acknowledged < self._written
        return is_unread or self._protocol.is_confirming

    def _append(self, data: bytes) -> None:
        if not self._out and self._acknowledged == self._written:
            self._moved_at = time.monotonic()
        self._out += data

    def _write(self, now: float) -> None:
        try:
            while self.wants_to_write:
                self._writing = self._writing or min(len(self._out), RECORD)
                count = self.socket.send(self._out[: self._writing])
                del self._out[:count]
                self._writing = 0
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
            is_over = now - self._failed_at >= LAST_WORDS
            return self._protocol.end(f"a write failed ({self._failure})") if is_over else None
        if self._acknowledged < self._written:
            acknowledged = self._written - unacknowledged(self.socket)
            if acknowledged > self._acknowledged:
                self._acknowledged, self._moved_at = acknowledged, now
                self._seen.append((acknowledged, now))
        if self._is_waiting and now - self._moved_at >= self._timeout:
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
