"""Pure: pushes that wait to be told of, in bounded memory whatever comes.

A try of a task makes an event for each way in which its pushes ended. When more come than are sent,
those alike become one event with the sum of their counts: never an event for each of a million.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from pushtasks.observers import Ended, RejectedLate, Tried
from pushtasks.results import Provider

#: Events of single tries that wait. What comes beyond is counted, by app and reason.
LIMIT: Final = 50
#: Events altogether. What comes beyond is counted by app alone, for providers invent reasons.
REASONS_LIMIT: Final = 2 * LIMIT


class PushEvent(NamedTuple):
    """What pushes have in common that one event tells of; what is None is left out."""

    #: Celery's type of the event: `group-subject`.
    type: str
    provider: Provider
    app: str
    environment: str
    #: `single`, `list` or `chunk`; empty if that is not known any more.
    kind: str
    reason: str | None = None
    status: int | None = None
    # Of one try only.
    #: Seconds since 1970.
    timestamp: float | None = None
    #: The task's id, as Celery's own events call it.
    uuid: str | None = None
    tries: int | None = None
    #: Masked.
    token: str | None = None
    fanout: str | None = None
    chunk: int | None = None

    def alike(self) -> "PushEvent":
        """Return what it shares with those of other tries."""
        return PushEvent(*self[:7])

    def of_any_reason(self) -> "PushEvent":
        """Return what it shares with those of all reasons."""
        return PushEvent(*self[:5])


def events_of(tried: Tried, now: float) -> Iterator[tuple[PushEvent, int]]:
    """Yield the events of one try, each with its number of pushes.

    Args:
        tried: What became of the pushes of the try.
        now: Seconds since 1970.
    """
    for ended in tried.ends:
        event = PushEvent(
            _type_of(ended),
            tried.provider,
            tried.app,
            tried.environment,
            tried.kind.value,
            ended.reason,
            ended.status,
            timestamp=now,
            uuid=tried.task_id,
            tries=tried.tries,
            token=tried.token,
            fanout=tried.fanout,
            chunk=tried.chunk,
        )
        yield event, ended.count


def event_of_late(late: RejectedLate, now: float) -> PushEvent:
    """Return the event of a push that counted as accepted, and was refused after all."""
    return PushEvent(
        "push-rejected-late",
        late.provider,
        late.app,
        environment="",
        kind="",
        reason=late.reason,
        timestamp=now,
        token=late.token,
    )


def fields_of(event: PushEvent, count: int) -> dict[str, str | float]:
    """Return the fields of an event as Celery sends them, its type aside."""
    fields = {name: value for name, value in event._asdict().items() if value not in {None, ""}}
    del fields["type"]
    return {**fields, "count": count}


class Heap:
    """Events that wait, each with its number of pushes."""

    def __init__(self) -> None:
        self._counts: dict[PushEvent, int] = {}

    def add(self, event: PushEvent, count: int) -> None:
        """Add pushes; if much waits already, to those of other tries that are alike."""
        if len(self._counts) >= LIMIT:
            event = event.alike()
        if len(self._counts) >= REASONS_LIMIT and event not in self._counts:
            event = event.of_any_reason()
        self._counts[event] = self._counts.get(event, 0) + count

    def take(self) -> list[tuple[PushEvent, int]]:
        """Return all that waits, in the order in which it came, and forget it."""
        counts, self._counts = self._counts, {}
        return list(counts.items())


def _type_of(ended: Ended) -> str:
    return f"push-{ended.end.value.replace('_', '-')}"
