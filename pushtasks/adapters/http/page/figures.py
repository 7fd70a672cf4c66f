"""Numbers and times as people read them: thousands apart, one unit, always UTC. Pure."""

from datetime import UTC, datetime
from typing import Final, NamedTuple

_UNITS: Final = ((31_536_000, "y"), (86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_MINUTE: Final = 60
#: Of the larger unit; from here on its parts do not matter.
_COARSE: Final = 10


def number(count: float) -> str:
    """Return a count with its thousands apart, `1,234,567`."""
    return f"{count:,.0f}"


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count and its noun, `1 push` or `1,200 pushes`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def percent(part: int, whole: int) -> str:
    """Return a share, never rounded to all or to nothing, `99.9 %`."""
    if not whole:
        return ""
    share = 100 * part / whole
    if 0 < share < 0.1:  # noqa: PLR2004
        return "< 0.1 %"
    if 99.9 < share < 100:  # noqa: PLR2004
        return "> 99.9 %"
    return f"{share:.0f} %" if share in {0, 100} else f"{share:.1f} %"


def span(seconds: float) -> str:
    """Return a duration by its two largest units, `1 h 20 min`, or one if that says enough."""
    left, counts = max(0, round(seconds)), []
    for size, unit in _UNITS:
        counts.append((left // size, unit))
        left %= size
    first = next((place for place, (count, _) in enumerate(counts) if count), 0)
    shown = counts[first : first + (1 if counts[first][0] >= _COARSE else 2)]
    return " ".join(f"{count} {unit}" for count, unit in shown if count) or "0 s"


class Moment(NamedTuple):
    """An instant, for machines and for people."""

    #: ISO 8601.
    iso: str
    #: `22 Nov 14:02 UTC`; with its year unless that is this year.
    text: str
    #: `3 min ago`, or `in 12 d`.
    distance: str

    @classmethod
    def of(cls, instant: datetime, now: datetime) -> "Moment":
        """Return an instant as seen at another."""
        utc = instant.astimezone(UTC)
        year = "" if utc.year == now.astimezone(UTC).year else f" {utc:%Y}"
        return cls(
            utc.isoformat(timespec="seconds"),
            f"{utc.day} {utc:%b}{year} {utc:%H:%M} UTC",
            _distance((instant - now).total_seconds()),
        )


def _distance(seconds: float) -> str:
    distance = abs(seconds)
    if distance < 1:
        return "just now"
    shown = span(distance if distance < _MINUTE else distance // _MINUTE * _MINUTE)
    return f"in {shown}" if seconds > 0 else f"{shown} ago"


class Figure(NamedTuple):
    """A number with its name."""

    #: What colour it has: `accepted`, `rejected`, `unsent`, `invalid`, or none.
    kind: str
    label: str
    value: str
    note: str = ""
