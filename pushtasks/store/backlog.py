"""Tallies that wait in memory while Redis cannot be reached."""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from pushtasks.news import News, Tally
from pushtasks.results import Provider
from pushtasks.store.tallies import COUNTERS

#: News that are kept at the most; counters of one app take the same room whatever they count.
NEWS_LIMIT: Final = 10_000

_App = tuple[Provider, str, str]


class Backlog:
    """Merges tallies by app, and keeps a bounded number of news. For several threads."""

    def __init__(self) -> None:
        self._counts: dict[_App, Counter[str]] = {}
        self._rejected: dict[_App, Counter[str]] = {}
        self._news: dict[_App, list[News]] = {}
        self._size = 0
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, tallies: Sequence[Tally]) -> int:
        """Take tallies, and return how many of their news there was no room for."""
        with self._lock:
            return sum(self._add(tally) for tally in tallies)

    def take(self) -> list[Tally]:
        """Give back all that waits, one tally for each app."""
        with self._lock:
            taken = [self._tally(key) for key in self._counts]
            self._counts, self._rejected, self._news, self._size = {}, {}, {}, 0
            return taken

    def _add(self, tally: Tally) -> int:
        key = (tally.provider, tally.app, tally.environment)
        counts = self._counts.setdefault(key, Counter())
        for name in (*COUNTERS, "unjudged"):
            counts[name] += getattr(tally, name)
        self._rejected.setdefault(key, Counter()).update(tally.rejected)
        kept = tally.news[: NEWS_LIMIT - self._size]
        self._news.setdefault(key, []).extend(kept)
        self._size += len(kept)
        return len(tally.news) - len(kept)

    def _tally(self, key: _App) -> Tally:
        counts: dict[str, Any] = dict(self._counts[key])
        return Tally(*key, **counts, rejected=self._rejected[key], news=tuple(self._news[key]))
