"""What is otherwise kept in Redis, kept in memory: news about devices, locks, fan-outs.

It has of `pushtasks.store.Store` what sending, feedback and fan-outs need. Who wants news hears of
them at once, as in a process without Redis.
"""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, NoReturn

from celery import Celery

from pushtasks.config import current_settings
from pushtasks.feedback import telling
from pushtasks.news import Entry, Kind, News, Tally
from pushtasks.results import Provider
from pushtasks.store import Noted
from pushtasks.store.rates import Limit, Turn
from pushtasks.testing.fanouts import MemoryChunks, MemoryFanouts

#: Entries of the stream that are kept.
LIMIT: Final = 100_000
#: Seconds between two looks of somebody who waits for an entry.
_LOOK: Final = 0.01


class MemoryStore:
    """One for each Celery app, for several threads."""

    def __init__(self, celery_app: Celery) -> None:
        self._celery_app = celery_app
        self._lock = threading.RLock()
        self._stream: deque[Entry] = deque(maxlen=LIMIT)
        self._count = 0
        self._groups: dict[str, MemoryGroup] = {}
        self._dead: dict[tuple[Provider, str], dict[str, datetime]] = {}
        self._locks: dict[str, tuple[str, float]] = {}
        self._cursors: dict[str, str] = {}
        self.fanouts = MemoryFanouts()
        self.chunks = MemoryChunks(self.fanouts, self.note)
        self.rates = MemoryRates()

    def __getattr__(self, name: str) -> NoReturn:
        """Say what there is not."""
        raise AttributeError(
            f"pushtasks.testing keeps no {name} in memory: have the fixture push_settings return"
            " a redis_url"
        )

    # News ---------------------------------------------------------------------------------------

    def note(self, tally: Tally, consumers: Sequence[str] = ()) -> list[Noted]:  # noqa: ARG002
        """Tell the news of a try, and keep them."""
        for news in telling.hand_over(self._celery_app, tally):
            self._keep(news)
        return []

    def record(self, news: Iterable[News], consumers: Sequence[str] = ()) -> list[Noted]:
        """Tell news that no push has brought, and keep them."""
        for one in news:
            self.note(Tally(one.provider, one.app, news=(one,)), consumers)
        return []

    def entries(
        self, *, after: str | None = None, count: int = 100, newest_first: bool = False
    ) -> list[Entry]:
        """Look at the stream, as of `Store.entries`."""
        with self._lock:
            entries = list(self._stream)
        if newest_first:
            entries.reverse()
        place = _place(after) if after else None
        if place is not None:
            entries = [e for e in entries if (_place(e.id) < place) is newest_first]
            entries = [e for e in entries if _place(e.id) != place]
        return entries[:count]

    def group(self, name: str) -> "MemoryGroup":
        """Return a group of readers, from the beginning of the stream."""
        with self._lock:
            return self._groups.setdefault(name, MemoryGroup(self, name))

    def _keep(self, entry: Entry) -> None:
        with self._lock:
            self._count += 1
            self._stream.append(replace(entry, id=f"{self._count}-0"))
            if entry.kind is Kind.EXPIRED and self._skips_dead(entry):
                dead = self._dead.setdefault((entry.provider, entry.app), {})
                dead[entry.token] = entry.dead_since or entry.seen_at

    def _skips_dead(self, entry: Entry) -> bool:
        settings = current_settings(self._celery_app)
        app = (settings.apns if entry.provider == "apns" else settings.gcm).get(entry.app)
        return app is not None and app.skip_dead

    # Known-dead tokens --------------------------------------------------------------------------

    def known_dead(
        self, provider: Provider, app: str, tokens: Collection[str]
    ) -> dict[str, datetime]:
        """Return which of some tokens are known to be dead, and since when."""
        dead = self._dead.get((provider, app), {})
        return {token: dead[token] for token in tokens if token in dead}

    def forget(self, provider: Provider, app: str, tokens: Iterable[str]) -> int:
        """Take tokens from those known to be dead; return how many were."""
        with self._lock:
            dead = self._dead.get((provider, app), {})
            return sum(dead.pop(token, None) is not None for token in tokens)

    # Places and locks ---------------------------------------------------------------------------

    def claim(self, name: str, owner: str, seconds: float) -> bool:
        """Take a lock that ends by itself."""
        with self._lock:
            holder, ends = self._locks.get(name, (owner, 0.0))
            if holder != owner and ends > time.monotonic():
                return False
            self._locks[name] = owner, time.monotonic() + seconds
            return True

    def release(self, name: str, owner: str) -> bool:
        """Give a lock back."""
        with self._lock:
            if self._locks.get(name, ("", 0.0))[0] != owner:
                return False
            del self._locks[name]
            return True

    def cursor(self, name: str) -> str | None:
        """Return up to which entry a reader has looked."""
        return self._cursors.get(name)

    def set_cursor(self, name: str, entry_id: str) -> None:
        """Remember up to which entry a reader has looked."""
        self._cursors[name] = entry_id

    def flush(self) -> None:
        """Do nothing: nothing waits."""


class MemoryGroup:
    """The readers of one name: each entry comes to one of them, until it is acknowledged."""

    def __init__(self, store: MemoryStore, name: str) -> None:
        self.name = name
        self._store = store
        self._lock = threading.Lock()
        self._last = "0-0"
        #: Entries that were taken, and when.
        self._taken: dict[str, tuple[Entry, float]] = {}

    def take(self, count: int, *, wait: float, again_after: float) -> list[Entry]:
        """Take entries, as of `Group.take`."""
        ends = time.monotonic() + wait
        while True:
            entries = self._take(count, again_after)
            if entries or time.monotonic() >= ends:
                return entries
            time.sleep(_LOOK)

    def ack(self, ids: Iterable[str]) -> None:
        """Acknowledge entries."""
        with self._lock:
            for id_ in ids:
                self._taken.pop(id_, None)

    def _take(self, count: int, again_after: float) -> list[Entry]:
        now = time.monotonic()
        with self._lock:
            left = [entry for entry, at in self._taken.values() if at <= now - again_after]
            entries = left[:count] or self._store.entries(after=self._last, count=count)
            for entry in entries:
                self._taken[entry.id] = entry, now
                self._last = max(self._last, entry.id, key=_place)
        return entries


class MemoryRates:
    """Apps that may always send."""

    def turn(self, limit: Limit, cost: int, slot: int = 0) -> Turn:  # noqa: ARG002
        """Return that it is now."""
        return Turn(0.0, 0)

    def pause(self, limit: Limit, seconds: float) -> None:
        """Do nothing: no other worker is to hear of it."""


def _place(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
