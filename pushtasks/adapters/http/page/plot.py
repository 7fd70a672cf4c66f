"""The last hour as bars, a minute each: what is to be drawn, in the units of the drawing. Pure.

The drawing is stretched to whatever room there is, so it holds no text; labels stand around it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from pushtasks.adapters.http.page.figures import counted, number
from pushtasks.store.health import Minute

#: Height of the drawing; each minute is 1 wide.
HEIGHT: Final = 100
#: Of a bar; the rest of its minute stays free.
WIDTH: Final = 0.76
#: What of all that was not nothing can be seen at least.
VISIBLE: Final = 2.0
#: The axis ends with one of these times a power of ten: halves of them are whole.
_TOPS: Final = (2, 4, 6, 8, 10)
#: Labels below the drawing.
_TIMES: Final = 5


class Part(NamedTuple):
    """A rectangle of a bar."""

    #: `accepted`, `rejected` or `unsent`.
    kind: str
    #: From the top of the drawing.
    y: float
    height: float


class Bar(NamedTuple):
    """One minute."""

    x: float
    parts: tuple[Part, ...]
    #: What a pointer is told.
    title: str


@dataclass(frozen=True, slots=True)
class Plot:
    """The last hour of all apps."""

    bars: tuple[Bar, ...]
    #: Labels of the upper end of the axis and of its middle.
    top: str
    middle: str
    #: Labels of the time axis, the oldest first, evenly spaced.
    times: tuple[str, ...]
    #: The same for who does not see it.
    summary: str


def summed(hours: Iterable[Sequence[Minute]]) -> tuple[Minute, ...]:
    """Add up what several apps did in the same minutes; nothing if there are none."""
    return tuple(Minute(together[0].at, *totals(together)) for together in zip(*hours, strict=True))


def totals(minutes: Sequence[Minute]) -> tuple[int, int, int]:
    """Return how many pushes were accepted, rejected and given up in some minutes."""
    return (
        sum(minute.accepted for minute in minutes),
        sum(minute.rejected for minute in minutes),
        sum(minute.unsent for minute in minutes),
    )


def plot(minutes: Sequence[Minute]) -> Plot:
    """Return the drawing of some minutes, the oldest first."""
    most = max(minutes, key=_total)
    top = _nice(_total(most))
    return Plot(
        bars=tuple(
            Bar(x, tuple(_parts(minute, top)), _title(minute))
            for x, minute in enumerate(minutes)
            if _total(minute)
        ),
        top=number(top),
        middle=number(top / 2),
        times=_times(minutes),
        summary=_summary(minutes, most),
    )


def spark(minutes: Sequence[Minute]) -> tuple[tuple[str, str], ...]:
    """Return a small drawing as SVG paths, each with its kind; nothing if nothing was sent."""
    top = max(map(_total, minutes), default=0)
    if not top:
        return ()
    drawn: dict[str, str] = {}
    for x, minute in enumerate(minutes):
        for part in _parts(minute, top):
            path = f"M{x} {part.y:.3g}h{WIDTH}v{part.height:.3g}h-{WIDTH}z"
            drawn[part.kind] = drawn.get(part.kind, "") + path
    return tuple(drawn.items())


def _parts(minute: Minute, top: float) -> Iterable[Part]:
    """Yield the rectangles of a minute, from the bottom up, all within the drawing."""
    left: float = HEIGHT
    for kind, count in zip(Minute._fields[1:], minute[1:], strict=True):
        if count:
            height = max(VISIBLE, HEIGHT * count / top)
            left -= height
            yield Part(kind, max(0.0, left), height)


def _total(minute: Minute) -> int:
    return minute.accepted + minute.rejected + minute.unsent


def _nice(most: int) -> int:
    size = 1
    while True:
        for top in _TOPS:
            if top * size >= most:
                return top * size
        size *= 10


def _title(minute: Minute) -> str:
    counts = [f"{number(minute.accepted)} accepted"]
    if minute.rejected:
        counts.append(f"{number(minute.rejected)} rejected")
    if minute.unsent:
        counts.append(f"{number(minute.unsent)} given up")
    return f"{_clock(minute.at)} UTC: {', '.join(counts)}"


def _summary(minutes: Sequence[Minute], most: Minute) -> str:
    accepted, rejected, unsent = totals(minutes)
    return (
        f"{number(accepted)} accepted, {number(rejected)} rejected, {number(unsent)} given up;"
        f" at the most {counted(_total(most), 'push', 'pushes')} in a minute,"
        f" at {_clock(most.at)} UTC"
    )


def _times(minutes: Sequence[Minute]) -> tuple[str, ...]:
    first = minutes[0].at
    step = timedelta(minutes=1) * len(minutes) / (_TIMES - 1)
    return tuple(_clock(first + place * step) for place in range(_TIMES))


def _clock(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%H:%M}"
