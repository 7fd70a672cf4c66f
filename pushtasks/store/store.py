"""What the whole installation shares in Redis: reports, news about devices, locks."""

import logging
import secrets
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from pushtasks.config import Settings
from pushtasks.news import Entry, News, Tally
from pushtasks.results import APNS, GCM, Provider
from pushtasks.store import dead, keys, scripts
from pushtasks.store.alarms import warn
from pushtasks.store.backlog import NEWS_LIMIT, Backlog
from pushtasks.store.chunks import Chunks
from pushtasks.store.connection import Connection, StoreUnavailable
from pushtasks.store.entries import read_entry
from pushtasks.store.fanouts import Fanouts
from pushtasks.store.groups import Group
from pushtasks.store.health import Health, read_health
from pushtasks.store.rates import Rates
from pushtasks.store.reports import read_report
from pushtasks.store.silence import Silence
from pushtasks.store.tallies import Noted, read_noted, script_arguments, script_keys
from pushtasks.store.turns import Turn

logger = logging.getLogger(__name__)


class Store:
    """One Redis, as one process uses it; for several threads."""

    def __init__(self, settings: Settings, url: str) -> None:
        """Take the address; nothing is opened yet.

        Args:
            settings: All settings; who goes by known-dead tokens, and how news are kept.
            url: As `redis.Redis.from_url` takes it.
        """
        self._settings = settings
        self._connection = Connection(url)
        self._backlog = Backlog()
        self._writing = threading.Lock()
        self._silence = Silence()
        self.fanouts = Fanouts(self._connection)
        self.rates = Rates(self._connection)
        self.chunks = Chunks(self._connection, self._call, self._noted)

    # Writing ------------------------------------------------------------------------------------

    def note(self, tally: Tally, consumers: Sequence[str] = ()) -> list[Noted]:
        """Count what became of pushes, and put their news on the stream, in one round trip.

        Never raises. One thread writes at a time, and takes along what others have by then: news
        are on the stream when this returns, mere counts may be on their way by another thread.
        While Redis cannot be reached all waits in memory, for the next one that gets through.

        Args:
            tally: Of one try of a task.
            consumers: Whom to wake if there are news; see `Noted.wake`.

        Returns:
            What this thread's writing has set off; empty if Redis cannot be reached.
        """
        self._keep([tally])
        noted: list[Noted] = []
        must_wait = bool(tally.news)
        while self._backlog or must_wait:
            if self._silence.is_on() or not self._writing.acquire(blocking=must_wait):
                break
            try:
                noted += self._write_backlog(consumers)
            finally:
                self._writing.release()
            must_wait = False
        return noted

    def record(self, news: Iterable[News], consumers: Sequence[str] = ()) -> list[Noted]:
        """Put news on the stream: all of them, or none.

        Raises:
            StoreUnavailable: Redis cannot be reached or refuses. They may be on the stream all the
                same if only its answer was lost.
        """
        ordered = sorted(news, key=_app_of)
        tallies = [Tally(*app, news=tuple(group)) for app, group in groupby(ordered, _app_of)]
        return self._write(tallies, consumers) if tallies else []

    def flush(self) -> None:
        """Write what waits in memory; what still cannot be written is lost, and logged."""
        tallies = self._backlog.take()
        if not tallies:
            return
        try:
            self._write(tallies, ())
        except StoreUnavailable as error:
            self._give_up(tallies, error)

    def _write_backlog(self, consumers: Sequence[str]) -> list[Noted]:
        tallies = self._backlog.take()
        if not tallies:
            return []
        try:
            noted = self._write(tallies, consumers)
        except StoreUnavailable as error:
            self._keep(tallies)
            self._silence.begin(error)
            return []
        self._silence.end()
        return noted

    def _write(self, tallies: Sequence[Tally], consumers: Sequence[str]) -> list[Noted]:
        calls = [self._call(tally, consumers) for tally in tallies]
        answers = self._connection.run(scripts.NOTE, calls)
        return [
            self._noted(tally, answer, consumers)
            for tally, answer in zip(tallies, answers, strict=True)
        ]

    def _call(self, tally: Tally, consumers: Sequence[str]) -> tuple[list[str], list[Any]]:
        return (
            script_keys(tally, consumers),
            script_arguments(tally, self._settings.feedback, keep_dead=self._skips_dead(tally)),
        )

    def _noted(self, tally: Tally, answer: Sequence[Any], consumers: Sequence[str]) -> Noted:
        noted = read_noted(tally, answer, consumers)
        warn(noted, self._settings.feedback.length)
        return noted

    def _skips_dead(self, tally: Tally) -> bool:
        apps: Mapping[str, Any] = getattr(self._settings, tally.provider)
        app = apps.get(tally.app)
        return app is not None and app.skip_dead

    # Reading ------------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """Return the counters of all apps since the last reset.

        Returns:
            `{"apns": {app: counters}, "gcm": {app: counters}, "stream": {"entries": n, "length": n,
            "lost": n}}`, where `length` is the limit and `lost` says how many entries had to go
            before everybody had read them. Counters are `attempts`, `accepted`, `rejected` (a dict
            by reason), `not_sent`, `maybe_sent`, `pending`, `canonical_ids`, `dead_tokens`, `late`
            and `held`.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client:
            apps, stream = read_report(client)
        stream["length"] = self._settings.feedback.length
        return {APNS: apps.get(APNS, {}), GCM: apps.get(GCM, {}), "stream": stream}

    def health(self, apps: Iterable[tuple[Provider, str]]) -> list[Health]:
        """Return how apps fare at their providers, in their order.

        Args:
            apps: Each as provider and name.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client:
            return read_health(client, apps)

    def reset_report(self) -> None:
        """Set all counters to 0, except for pushes that are pending.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        self._connection.run(
            scripts.RESET, [([keys.REPORTS, keys.LOST], [keys.report("", "").removesuffix(":")])]
        )

    def entries(
        self, *, after: str | None = None, count: int = 100, newest_first: bool = False
    ) -> list[Entry]:
        """Look at the feedback stream without taking anything from it.

        Args:
            after: Only what comes after the entry of this id, in the order that is asked for.
            count: How many at the most.
            newest_first: The newest first, not the oldest.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        start = f"({after}" if after else None
        with self._connection.watched() as client:
            if newest_first:
                raw = client.xrevrange(keys.STREAM, start or "+", "-", count)
            else:
                raw = client.xrange(keys.STREAM, start or "-", "+", count)
        return [entry for id_, fields in raw if (entry := read_entry(id_, fields))]

    def group(self, name: str) -> Group:
        """Return a consumer group of the feedback stream, made when it is first read."""
        return Group(self._connection, name)

    def turn(self, consumer: str) -> Turn:
        """Return what rules the deliveries to a consumer."""
        return Turn(self._connection, consumer)

    # Known-dead tokens --------------------------------------------------------------------------

    def known_dead(
        self, provider: Provider, app: str, tokens: Collection[str]
    ) -> dict[str, datetime]:
        """Return which of some tokens are known to be dead, and since when.

        Empty if Redis cannot be reached: then all of them are sent to.
        """
        if not tokens or self._silence.is_on():
            return {}
        members = [dead.member(provider, token) for token in tokens]
        try:
            with self._connection.watched() as client:
                scores = client.zmscore(keys.dead(provider, app), members)
        except StoreUnavailable as error:
            self._silence.begin(error)
            return {}
        return {
            token: dead.dead_since(score)
            for token, score in zip(tokens, scores, strict=True)
            if score is not None
        }

    def forget(self, provider: Provider, app: str, tokens: Iterable[str]) -> int:
        """Take tokens from those known to be dead; return how many were.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        members = [dead.member(provider, token) for token in tokens]
        if not members:
            return 0
        with self._connection.watched() as client:
            return int(client.zrem(keys.dead(provider, app), *members))

    # Places and locks ---------------------------------------------------------------------------

    def cursor(self, name: str) -> str | None:
        """Return the id of the entry up to which a reader of that name has looked, if it has.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client:
            found: str | None = client.hget(keys.CURSORS, name)
            return found

    def set_cursor(self, name: str, entry_id: str) -> None:
        """Remember up to which entry a reader has looked.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client:
            client.hset(keys.CURSORS, name, entry_id)

    def claim(self, name: str, owner: str, seconds: float) -> bool:
        """Take a lock that ends by itself; its owner may take it again, to hold it longer.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        arguments = [owner, int(seconds * 1000)]
        return bool(self._connection.run(scripts.CLAIM, [([keys.lock(name)], arguments)])[0])

    def release(self, name: str, owner: str) -> bool:
        """Give a lock back; False if it is not, or no longer, the owner's.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        return bool(self._connection.run(scripts.RELEASE, [([keys.lock(name)], [owner])])[0])

    def secret(self, name: str) -> str:
        """Return a random text that all processes share, made when it is first asked for.

        Raises:
            StoreUnavailable: Redis cannot be reached.
        """
        with self._connection.watched() as client, client.pipeline() as pipeline:
            pipeline.set(keys.secret(name), secrets.token_urlsafe(32), nx=True)
            _, found = pipeline.get(keys.secret(name)).execute()
            return str(found)

    # Trouble ------------------------------------------------------------------------------------

    def _keep(self, tallies: Sequence[Tally]) -> None:
        dropped = self._backlog.add(tallies)
        if dropped:
            logger.error(
                "Redis at %s: %d news about devices are lost, since %d wait for it already",
                self._connection.name,
                dropped,
                NEWS_LIMIT,
            )

    def _give_up(self, tallies: Sequence[Tally], error: StoreUnavailable) -> None:
        pushes = sum(tally.attempts for tally in tallies)
        news = sum(len(tally.news) for tally in tallies)
        logger.error("%s; uncounted: %d pushes, untold: %d news of devices", error, pushes, news)


def _app_of(news: News) -> tuple[Provider, str]:
    return news.provider, news.app
