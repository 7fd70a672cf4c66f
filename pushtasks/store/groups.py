"""A consumer group of the feedback stream: each entry goes to one reader, until it is acknowledged.

All readers of a group go by one consumer name, so that none is left behind by a process that ends;
what one has taken and not acknowledged is found by the time since when.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

import redis

from pushtasks.news import Entry
from pushtasks.store import keys
from pushtasks.store.connection import Connection
from pushtasks.store.entries import RawEntry, entries_in, read_entry

_READER: Final = "pushtasks"
#: For XREADGROUP: after all that anybody was given.
NEW: Final = ">"
#: Milliseconds of one blocking read; within the time limit of a connection.
_BLOCK: Final = 500


class Group:
    """A consumer group, made on first use, from the beginning of the stream."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name

    def take(self, count: int, *, wait: float, again_after: float) -> list[Entry]:
        """Take entries: first those that somebody took and did not acknowledge, then new ones.

        Args:
            count: How many at the most.
            wait: Seconds to wait for the first.
            again_after: Seconds after which an entry that was not acknowledged counts as left.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        deadline = time.monotonic() + wait
        while True:
            left = deadline - time.monotonic()
            entries = self._take_left(count, again_after) or self._take_new(count, left)
            if entries or time.monotonic() >= deadline:
                return entries

    def own(self, count: int, after: str) -> list[Entry]:
        """Return entries that were taken and not acknowledged, whoever took them, after an id.

        For one who knows that nobody else has them in hands.
        """
        return self._read(count, after)

    def take_new(self, count: int) -> list[Entry]:
        """Take entries that nobody was given yet."""
        return self._read(count, NEW)

    def ack(self, ids: Iterable[str]) -> None:
        """Acknowledge entries: they never come again to this group."""
        ids = list(ids)
        if ids:
            with self._connection.watched() as client:
                client.xack(keys.STREAM, self.name, *ids)

    def _take_left(self, count: int, again_after: float) -> list[Entry]:
        start, idle = "0-0", int(again_after * 1000)
        while True:
            claim = partial(self._claim, idle=idle, start=start, count=count)
            answer = self._run(claim)
            start, entries = answer[0], self._readable(answer[1])
            if entries or start == "0-0":
                return entries

    def _claim(self, client: Any, *, idle: int, start: str, count: int) -> Any:
        return client.xautoclaim(keys.STREAM, self.name, _READER, idle, start, count)

    def _take_new(self, count: int, wait: float) -> list[Entry]:
        return self._read(count, NEW, min(_BLOCK, int(wait * 1000)))

    def _read(self, count: int, after: str, block: int = 0) -> list[Entry]:
        read = partial(self._read_once, count=count, block=block if block > 0 else None)
        while raw := entries_in(self._run(partial(read, after=after))):
            if entries := self._readable(raw):
                return entries
            after = after if after == NEW else raw[-1][0]  # none is readable: there may be more
        return []

    def _read_once(self, client: Any, *, after: str, count: int, block: int | None) -> Any:
        return client.xreadgroup(self.name, _READER, {keys.STREAM: after}, count, block)

    def _readable(self, raw: Sequence[RawEntry]) -> list[Entry]:
        """Return entries as news; what was trimmed before it was acknowledged is let go."""
        self.ack(id_ for id_, fields in raw if id_ and not fields)
        return [entry for id_, fields in raw if fields and (entry := read_entry(id_, fields))]

    def _run(self, command: Callable[[Any], Any]) -> Any:
        """Run a command; if there is no such group yet, or no stream, make both."""
        with self._connection.watched() as client:
            try:
                return command(client)
            except redis.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
            self._make(client)
            return command(client)

    def _make(self, client: Any) -> None:
        try:
            client.xgroup_create(keys.STREAM, self.name, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):  # another process was faster
                raise
