"""A tally as the keys and arguments of the script that notes it, and what the script answers."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pushtasks.config import FeedbackSettings
from pushtasks.news import Kind, News, Tally
from pushtasks.results import Provider
from pushtasks.store import dead, keys

#: Counters of a tally that the report shows under the same names.
COUNTERS: Final = (
    "attempts",
    "accepted",
    "not_sent",
    "maybe_sent",
    "pending",
    "canonical_ids",
    "late",
)


class Noted(NamedTuple):
    """What noting one tally has set off."""

    provider: Provider
    app: str
    environment: str = ""
    #: Consumers to whom a delivery is to be sent now.
    wake: tuple[str, ...] = ()
    #: Suspicious rejections that were held back from the stream.
    held: int = 0
    #: Whether the breaker's alarm is due.
    is_alarm: bool = False
    #: Suspicious rejections, and all judged pushes, in the breaker's window.
    suspicious: int = 0
    judged: int = 0
    #: Unread entries that had to be trimmed, if that is to be told now.
    lost: int = 0
    #: Size of the stream, if it is nearly full of what was not read, and that is to be told now.
    size: int = 0
    #: The group that has not read them; "-" if there is none.
    reader: str = ""


def judged(tally: Tally) -> int:
    """Return how many pushes of a tally the provider has judged, late ones counted once."""
    return tally.accepted + sum(tally.rejected.values()) + tally.late - tally.unjudged


def rejected_for(reason: str) -> str:
    """Return the counter of rejections for a reason."""
    return f"rejected:{reason[: keys.REASON_LENGTH]}"


def script_keys(tally: Tally, consumers: Sequence[str]) -> list[str]:
    """Return the keys that noting a tally touches, in the script's order."""
    provider, app = tally.provider, tally.app
    return [
        keys.STREAM,
        keys.LOST,
        keys.report(provider, app),
        keys.REPORTS,
        keys.breaker(provider, app, tally.environment),
        keys.dead(provider, app),
        keys.alarm(f"breaker:{provider}:{app}"),
        keys.alarm("full"),
        keys.alarm("lost"),
        *(keys.wake(consumer) for consumer in consumers),
    ]


def script_arguments(
    tally: Tally, settings: FeedbackSettings, *, keep_dead: bool
) -> list[str | int]:
    """Return the arguments of the script, a JSON object and four for each of the news."""
    head: dict[str, Any] = {
        "name": f"{tally.provider}:{tally.app}",
        "counts": _counts(tally),
        "judged": judged(tally),
        "reasons_limit": keys.REASONS_LIMIT,
        "bucket": keys.BREAKER_BUCKET,
        "share": settings.breaker,
        "breaker_least": keys.BREAKER_ALARM_LEAST,
        "breaker_pause": keys.BREAKER_ALARM_PAUSE,
        "field": keys.NEWS_FIELD,
        "length": settings.length,
        "nearly_full": settings.length * keys.NEARLY_FULL,
        "stream_pause": keys.STREAM_ALARM_PAUSE,
        "wake_age": keys.WAKE_AGE,
        "keep_dead": keep_dead,
    }
    if keep_dead:
        oldest = datetime.now(UTC) - timedelta(seconds=keys.DEAD_AGE)
        head |= {"dead_until": dead.score(oldest, None), "dead_limit": keys.DEAD_LIMIT}
    arguments: list[str | int] = [json.dumps(head)]
    for news in tally.news:
        arguments += news_arguments(news)
    return arguments


def read_noted(tally: Tally, answer: Sequence[Any], consumers: Sequence[str]) -> Noted:
    """Return what the script answered."""
    held, is_alarm, suspicious, judged_pushes, lost, size, reader, *woken = answer
    return Noted(
        tally.provider,
        tally.app,
        tally.environment,
        wake=tuple(name for name, is_due in zip(consumers, woken, strict=False) if is_due),
        held=held,
        is_alarm=bool(is_alarm),
        suspicious=suspicious,
        judged=judged_pushes,
        lost=lost,
        size=size,
        reader=reader,
    )


def _counts(tally: Tally) -> dict[str, int]:
    counts = {name: getattr(tally, name) for name in COUNTERS}
    for reason, count in tally.rejected.items():
        counts[rejected_for(reason)] = count
    return {name: count for name, count in counts.items() if count}


def news_arguments(news: News) -> list[str | int]:
    """Return the four arguments of the script for one of the news."""
    text = json.dumps(news.to_dict())
    if news.kind is not Kind.EXPIRED:
        return ["plain", 0, "", text]
    member = dead.member(news.provider, news.token)
    kind = "suspicious" if news.is_suspicious else "expired"
    return [kind, dead.score(news.seen_at, news.dead_since), member, text]
