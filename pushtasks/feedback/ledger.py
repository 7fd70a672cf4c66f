"""Pure: what one try of a task has to tell, counted.

Each device is counted once, whatever tries it takes: when its first try begins it is an attempt,
while it waits it is pending, and in the try that settles it, it becomes what it ends as.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from pushtasks.news import Kind, News, Tally
from pushtasks.results import GCM, Action, Outcome, Provider, Result
from pushtasks.retries import KNOWN_DEAD
from pushtasks.wire.gcm import TOPIC_PREFIX

#: What the report calls a device whose push could not even be made.
REFUSED: Final = "InvalidPush"
#: Reasons of rejections that the provider knows nothing of.
UNJUDGED: Final = frozenset({REFUSED, KNOWN_DEAD})


class Try(NamedTuple):
    """One try, as a whole."""

    provider: Provider
    app: str
    environment: str
    is_first: bool
    #: Devices that were to be sent to.
    tried: int
    #: Of these, those that wait for another try.
    left: int = 0
    #: Of these, those that would have to, if there were one.
    given_up: int = 0


def count(one: Try, settled: Iterable[tuple[Any, Result]], seen_at: datetime) -> Tally:
    """Return what a try has to tell.

    Args:
        one: The try.
        settled: Of each device that was not simply accepted, what the caller named it by, and its
            result.
        seen_at: When the provider answered; aware.
    """
    settled = list(settled)
    outcomes = Counter(result.outcome for _, result in settled)
    rejected = Counter(reason_of(it) for _, it in settled if it.outcome is Outcome.REJECTED)
    failed = len(settled) - outcomes[Outcome.ACCEPTED]
    return Tally(
        one.provider,
        one.app,
        one.environment,
        attempts=one.tried if one.is_first else 0,
        accepted=one.tried - one.left - one.given_up - failed,
        rejected=rejected,
        unjudged=sum(rejected[reason] for reason in UNJUDGED),
        not_sent=outcomes[Outcome.NOT_SENT] + one.given_up,
        maybe_sent=outcomes[Outcome.MAYBE_SENT],
        pending=one.left if one.is_first else one.left - one.tried,
        canonical_ids=sum(result.canonical_id is not None for _, result in settled),
        news=tuple(news for pair in settled for news in news_of(*pair, seen_at)),
    )


def abandoned(provider: Provider, arguments: Mapping[str, Any]) -> Tally | None:
    """Return what is to be told of a task that failed before its devices could be sent to.

    Args:
        provider: `apns` or `gcm`.
        arguments: Of the task.

    Returns:
        None if it was the first try: then its devices are counted nowhere.
    """
    progress = arguments.get("_progress")
    if not isinstance(progress, Mapping) or not progress.get("tries"):
        return None
    targets = arguments.get("tokens", arguments.get("registration_ids"))
    waited = len(targets) if isinstance(targets, list) else 1
    return Tally(provider, str(arguments.get("app")), not_sent=waited, pending=-waited)


def reason_of(result: Result) -> str:
    """Return by which reason the report counts a rejection."""
    if result.status is None and result.reason != KNOWN_DEAD:
        return REFUSED
    return str(result.reason)


def news_of(entry: Any, result: Result, seen_at: datetime) -> Iterator[News]:
    """Yield what a result has to tell of its device.

    Args:
        entry: What the caller named it by.
        result: Of one that was not simply accepted.
        seen_at: When the provider answered; aware.
    """
    token = _device(entry, result)
    if token is None or result.status is None:
        return
    news = News(
        Kind.EXPIRED,
        result.provider,
        result.app,
        token,
        seen_at,
        reason=result.reason,
        status=result.status,
        dead_since=result.dead_since,
        identifier=result.identifier,
    )
    if result.action is Action.DROP_TOKEN:
        yield news
    if result.canonical_id:
        yield replace(news, kind=Kind.REPLACED, canonical_id=result.canonical_id)


def _device(entry: Any, result: Result) -> str | None:
    """Return the token of a device; None for topics, conditions and device groups."""
    if result.provider != GCM:
        return result.token
    if isinstance(entry, str):
        return None if entry.startswith(TOPIC_PREFIX) else entry
    token: str | None = entry.get("token")
    return token or (result.token if "fid" in entry else None)
