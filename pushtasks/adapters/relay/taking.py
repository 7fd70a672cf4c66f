"""Entries of a Redis list, held by a relay until they are somewhere else.

Nothing is ever out of Redis: an entry goes from the list to one of the relay's own, and leaves that
only when the broker has it. A relay that falls silent is struck off by another, which takes over
what it held; so the worst that a kill can do is that one batch is handed over twice.
"""

import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from pushtasks.adapters.relay import dead_letters, scripts
from pushtasks.adapters.relay.entries import LONGEST
from pushtasks.errors import InvalidSettings
from pushtasks.redis_urls import fault_of
from pushtasks.store.connection import Connection
from pushtasks.store.scripts import Script

#: Seconds for an answer of Redis, and for which it is asked to wait for an entry.
TIMEOUT: Final = 5.0
WAIT: Final = 0.5
#: Bytes of one batch, but for its last entry.
BATCH_BYTES: Final = 4 * 1024 * 1024
#: Dead letters that are read at a time.
PAGE: Final = 100


class Settled(NamedTuple):
    """What letting go of a batch has brought to light."""

    #: False: another relay had taken the batch over, and hands it over again.
    was_held: bool
    #: Old dead letters that had to make room.
    dropped: int


class EntryList:
    """One list, as one relay uses it; not for several threads."""

    def __init__(self, url: str, key: str, lease: float) -> None:
        """Take the address; nothing is opened yet.

        Args:
            url: As `redis.Redis.from_url` takes it.
            key: Of the list.
            lease: Seconds without a sign of life after which other relays take over.

        Raises:
            InvalidSettings: The URL is none.
        """
        try:
            self._connection = Connection(
                url,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                encoding_errors="surrogateescape",  # what is no UTF-8 is to become a dead letter
            )
        except ValueError as error:
            raise InvalidSettings(
                f"redis_url: {fault_of(url) or error}; give redis://[:password@]host:port/database"
            ) from None
        self._key = key
        self._lease_ms = int(lease * 1000)
        #: This relay.
        self.id = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._relays = f"{key}:pushtasks:relays"
        self._held = self._held_by(self.id)
        #: The list of entries that can never be sent.
        self.dead_key = f"{key}:pushtasks:dead"

    @property
    def name(self) -> str:
        """The list and its Redis, for people."""
        return f"{self._key!r} at {self._connection.name}"

    def require_list(self) -> None:
        """See that there is nothing else under the key.

        Raises:
            InvalidSettings: There is.
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client:
            kind = client.type(self._key)
        if kind not in {"list", "none"}:
            raise InvalidSettings(
                f"key {self.name} is a {kind}; name the list that producers push to"
            )

    def take(self, count: int) -> list[str]:
        """Return the batch in hand, filled up from the list; empty if there is nothing.

        Args:
            count: Entries at the most.

        Raises:
            StoreUnavailable: Redis cannot be reached; what it took is returned the next time.
        """
        taken: list[str] = self._run(
            scripts.TAKE,
            [self._relays, self._key, self._held],
            [self.id, self._lease_ms, count, BATCH_BYTES, LONGEST],
        )
        return taken

    def settle(self, count: int, letters: Sequence[str]) -> Settled:
        """Let go of the batch in hand.

        Args:
            count: Its entries.
            letters: What goes to the dead-letter list for those that cannot be sent.

        Raises:
            StoreUnavailable: Redis cannot be reached; it may be done all the same.
        """
        held, dropped = self._run(
            scripts.SETTLE,
            [self._relays, self._held, self.dead_key],
            [self.id, self._lease_ms, count, dead_letters.LIMIT, *letters],
        )
        return Settled(bool(held), dropped)

    def live(self) -> None:
        """Give a sign of life, as taking and settling do.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        self._run(scripts.LIVE, [self._relays], [self.id, self._lease_ms])

    def wait(self) -> None:
        """Return when there is an entry, or after `WAIT` seconds; one entry may wake several.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client:
            # From the head of the list to its head: it only waits, and takes nothing.
            client.blmove(self._key, self._key, WAIT, "LEFT", "LEFT")

    def adopt(self) -> int:
        """Take over what one relay held that is gone, as the next batch; return how many entries.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client:
            others = [other for other in client.zrange(self._relays, 0, -1) if other != self.id]
        for other in others:
            keys = [self._relays, self._held, self._held_by(other)]
            count = self._run(scripts.ADOPT, keys, [other])
            if count > 0:
                return int(count)
        return 0

    def leave(self) -> int:
        """Put back what is in hand, and be no relay any more; return how many entries.

        Raises:
            StoreUnavailable: Redis cannot be reached; another relay will take them over.
        """
        return int(self._run(scripts.LEAVE, [self._relays, self._key, self._held], [self.id]))

    # Dead letters -------------------------------------------------------------------------------

    def letters(self) -> Iterator[str]:
        """Yield the dead letters, the oldest first.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        start = 0
        while page := self._page(start):
            yield from page
            start += len(page)

    def revive(self) -> int:
        """Put the entries of dead letters back at the end of the list; return how many.

        Those that are not whole stay, and so do letters that relays write meanwhile: an entry that
        is still broken comes back but once.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client:
            left: int = client.llen(self.dead_key)
        start = count = 0
        while page := self._page(start)[:left]:
            left -= len(page)
            revived = sum(self._revive(letter) for letter in page)
            count += revived
            start += len(page) - revived
        return count

    def _page(self, start: int) -> list[str]:
        with self._connection.watched() as client:
            page: list[str] = client.lrange(self.dead_key, start, start + PAGE - 1)
            return page

    def _revive(self, letter: str) -> bool:
        entry = dead_letters.entry_of(letter)
        if entry is None:
            return False
        return bool(self._run(scripts.REVIVE, [self._key, self.dead_key], [letter, entry]))

    def _held_by(self, relay: str) -> str:
        return f"{self._key}:pushtasks:held:{relay}"

    def _run(self, script: Script, keys: list[str], arguments: list[Any]) -> Any:
        return self._connection.run(script, [(keys, arguments)])[0]
