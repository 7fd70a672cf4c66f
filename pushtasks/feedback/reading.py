"""Reads the feedback stream: each group gets every entry at least once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, overload

from celery import Celery

from pushtasks.errors import InvalidSettings
from pushtasks.host import current_app
from pushtasks.news import Entry, News
from pushtasks.results import Provider
from pushtasks.store import Group, Store, current_store


class Batch(Sequence[Entry]):
    """Entries that one reader has in hands until it acknowledges them."""

    def __init__(self, entries: Sequence[Entry], group: Group) -> None:
        """Take what was read by a group."""
        self._entries = tuple(entries)
        self._group = group

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} for {self._group.name!r}>"

    def ack(self, *entries: Entry) -> None:
        """Acknowledge entries, so that this group never gets them again.

        Args:
            entries: Of this batch; none: all of it.

        Raises:
            StoreUnavailable: Redis cannot be reached: they will come again.
        """
        self._group.ack(entry.id for entry in entries or self._entries)


def read(
    group: str,
    *,
    count: int = 100,
    wait: float = 0.0,
    again_after: float = 60.0,
    celery_app: Celery | None = None,
) -> Batch:
    """Read the next entries: first those that were read and not acknowledged, then new ones.

    A group begins with the oldest entry that there is when it first reads. Several processes may
    read for one group: each entry goes to one of them.

    Args:
        group: Any name; not one that begins with `pushtasks.`.
        count: How many at the most.
        wait: Seconds to wait for the first; 0: not at all.
        again_after: Seconds after which an entry that was not acknowledged is given out again;
            longer than a batch takes.
        celery_app: Whose Redis to read from; left out, that of the current app.

    Raises:
        InvalidSettings: There is no Redis.
        StoreUnavailable: It cannot be reached.
        ValueError: The group has a name of ours.
    """
    if group.startswith("pushtasks."):
        raise ValueError(f"group {group!r}: names with 'pushtasks.' are ours; choose another")
    found = _store(celery_app).group(group)
    return Batch(found.take(count, wait=wait, again_after=again_after), found)


def still_dead(entry: Entry | Mapping[str, Any], registered_at: datetime) -> bool:
    """Return whether a token is dead even though the device registered it at some time.

    Args:
        entry: As read, or the dict that handlers and signals are given.
        registered_at: When the app last heard of the token from the device; aware.

    Returns:
        False if that was after the time since when the token is dead, or, where the provider told
        no such time, after the provider was heard.

    Raises:
        ValueError: `registered_at` has no time zone, or the entry is none.
    """
    if registered_at.tzinfo is None or registered_at.utcoffset() is None:
        raise ValueError(
            f"registered_at {registered_at.isoformat()} has no time zone; in Django set"
            " USE_TZ, else add the zone with .replace(tzinfo=…)"
        )
    news = entry if isinstance(entry, News) else News.from_dict(entry)
    return registered_at <= (news.dead_since or news.seen_at)


def forget(
    provider: Provider, app: str, tokens: Iterable[str], *, celery_app: Celery | None = None
) -> int:
    """Send again to tokens that were known to be dead, since devices have registered them again.

    Only apps with `skip_dead` know dead tokens.

    Args:
        provider: `apns` or `gcm`.
        app: The app in the settings.
        tokens: Device tokens or registration ids.
        celery_app: Whose Redis; left out, that of the current app.

    Returns:
        How many of them were known to be dead.

    Raises:
        InvalidSettings: There is no Redis.
        StoreUnavailable: It cannot be reached.
    """
    return _store(celery_app).forget(provider, app, tokens)


def known_dead(
    celery_app: Celery, provider: Provider, app_name: str, tokens: Sequence[str]
) -> dict[str, datetime]:
    """Return which of some tokens are known to be dead, and since when; none without Redis."""
    store = current_store(celery_app)
    return store.known_dead(provider, app_name, tokens) if store else {}


def _store(celery_app: Celery | None) -> Store:
    store = current_store(celery_app or current_app())
    if store is None:
        raise InvalidSettings(
            "feedback needs redis_url: there is nowhere to keep it; set it to"
            " redis://host:port/database"
        )
    return store
