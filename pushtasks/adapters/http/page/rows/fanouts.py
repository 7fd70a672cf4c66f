"""Fan-outs and how far they are. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from pushtasks.adapters.http.page.attention import Level, is_left
from pushtasks.adapters.http.page.figures import Figure, Moment, counted, number, span
from pushtasks.adapters.http.page.seals import cancelling, seal
from pushtasks.adapters.http.page.snapshot import Snapshot
from pushtasks.store.fanout_state import Fanout, State

#: Kind, label and counters of a bar's parts.
_SEGMENTS: Final = (
    ("accepted", "accepted", ("accepted",)),
    ("rejected", "rejected", ("rejected",)),
    ("unsent", "given up", ("not_sent", "maybe_sent")),
    ("invalid", "no device", ("invalid",)),
)


class Segment(NamedTuple):
    """A part of a progress bar, in percent of its length."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class FanoutRow:
    """A fan-out and how far it is."""

    id: str
    app: str
    key: str
    state: str
    level: str
    #: Whole percent; None: nobody knows how many devices there are.
    percent: int | None
    segments: tuple[Segment, ...]
    progress: str
    counts: tuple[Figure, ...]
    pace: str
    began: Moment
    ended: Moment | None
    error: str
    #: What makes the form genuine that cancels it; empty if it cannot be cancelled any more.
    seal: str


def fanout_row(fanout: Fanout, snapshot: Snapshot) -> FanoutRow:
    """Return the row of a fan-out."""
    counts = [
        (kind, label, sum(getattr(fanout, name) for name in names))
        for kind, label, names in _SEGMENTS
    ]
    total = fanout.expected
    state, level = _state(fanout, snapshot)
    ended = fanout.finished_at
    is_live = fanout.state in {State.RUNNING, State.PAUSED}
    return FanoutRow(
        id=fanout.id,
        app=f"{fanout.spec.provider}.{fanout.spec.app}",
        key=fanout.spec.key or "",
        state=state,
        level=level,
        percent=_whole_percent(fanout, total),
        segments=tuple(_segments(counts, total or 0)),
        progress=_progress(fanout, total),
        counts=tuple(
            Figure(kind, label, number(count))
            for kind, label, count in counts
            if count or kind in {"accepted", "rejected"}
        ),
        pace=_pace(fanout, total),
        began=Moment.of(fanout.created_at, snapshot.now),
        ended=Moment.of(ended, snapshot.now) if ended else None,
        error=fanout.error or "",
        seal=seal(snapshot.secret, cancelling(fanout.id)) if is_live else "",
    )


def _state(fanout: Fanout, snapshot: Snapshot) -> tuple[str, str]:
    """Return a word for how a fan-out stands, and how grave that is."""
    if fanout.error:
        return ("failed" if fanout.is_over else f"{fanout.state}, with an error"), Level.WRONG
    if is_left(fanout, snapshot.now):
        return "without publisher", Level.WRONG
    if fanout.state is State.PAUSED:
        return "paused", Level.WARNING
    if fanout.state is State.CANCELLED:
        return ("cancelled" if fanout.is_over else "being cancelled"), "over"
    return fanout.state.value, "over" if fanout.is_over else "running"


def _whole_percent(fanout: Fanout, total: int | None) -> int | None:
    """Return how much is done, 100 only when all is; None if nobody knows how much there was."""
    if total is None or fanout.error:
        return None
    if fanout.is_over and fanout.settled >= total:
        return 100
    return min(99, 100 * fanout.settled // total) if total else 0


def _segments(counts: Iterable[tuple[str, str, int]], total: int) -> Iterable[Segment]:
    x = 0.0
    for kind, _, count in counts:
        if count and total:
            width = min(100 - x, max(0.4, 100 * count / total))
            yield Segment(kind, round(x, 2), round(width, 2))
            x += width


def _progress(fanout: Fanout, total: int | None) -> str:
    settled = number(fanout.settled)
    if fanout.error:
        return f"{settled} of {counted(fanout.devices, 'device')} that were read"
    if total is None:
        return f"{settled} of {counted(fanout.devices, 'device')} that are read so far"
    about = "" if fanout.source_ended else "about "
    return f"{settled} of {about}{counted(total, 'device')}"


def _pace(fanout: Fanout, total: int | None) -> str:
    if not fanout.settled or not fanout.seconds:
        return ""
    rate = fanout.settled / fanout.seconds
    shown = f"{number(rate)}/s" if rate >= 1 else f"{number(60 * rate)}/min"
    if fanout.is_over:
        return f"{span(fanout.seconds)}, {shown}"
    if fanout.state is not State.RUNNING or total is None:
        return shown
    return f"{shown}, {span((total - fanout.settled) / rate)} left"
