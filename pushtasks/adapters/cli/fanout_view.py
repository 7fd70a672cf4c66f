"""How a fan-out is shown: a bar while it goes on, a table of totals in the end."""

import time
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from rich import box
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pushtasks.adapters.cli.output import err
from pushtasks.masking import mask
from pushtasks.store.fanout_state import OUTCOMES, Fanout, State

#: Words and colour of each thing that can become of a device.
WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "accepted": ("accepted", "green"),
    "rejected": ("rejected", "red"),
    "not_sent": ("not sent", "yellow"),
    "maybe_sent": ("maybe sent", "yellow"),
    "invalid": ("invalid", "red"),
}
#: Seconds that a rate looks back.
SPAN: Final = 10.0
#: Times a second that the bar is drawn.
REFRESH: Final = 4
BAR_WIDTH: Final = 24


class Pace:
    """How fast a fan-out goes, by what it was seen to be in the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, settled: int, now: float) -> None:
        """Note how many devices are settled.

        Args:
            settled: Devices.
            now: Seconds, of a clock that never jumps.
        """
        self._seen.append((now, settled))
        while now - self._seen[0][0] > SPAN:
            self._seen.popleft()

    @property
    def rate(self) -> float | None:
        """Devices a second; None if it is too early to say."""
        if not self._seen or self._seen[-1][0] - self._seen[0][0] < 1:
            return None
        (began, before), (ended, after) = self._seen[0], self._seen[-1]
        return (after - before) / (ended - began)


class View:
    """A bar on standard error, if that is a terminal, for the time of a `with` block."""

    def __init__(self) -> None:
        self.last: Fanout | None = None
        self._pace = Pace()
        self._live = Live(console=err(), refresh_per_second=REFRESH, transient=True)

    def show(self, fanout: Fanout) -> None:
        """Draw a fan-out as it stands."""
        self.last = fanout
        self._pace.see(fanout.settled, time.monotonic())
        self._live.update(bar(fanout, self._pace.rate))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._live.stop()


def seconds_left(fanout: Fanout, rate: float | None) -> float | None:
    """Return how long a fan-out will still take at a rate; None if there is no telling."""
    total = fanout.expected
    if not rate or total is None or fanout.state is not State.RUNNING:
        return None
    return (total - fanout.settled) / rate


def bar(fanout: Fanout, rate: float | None) -> Group:
    """Return two lines: how far it is, and what became of the devices."""
    total = fanout.expected
    line = Table.grid(padding=(0, 1))
    about = "" if fanout.source_ended else "about "
    of = "" if total is None else f" of {about}{total:,}"
    pace = "" if rate is None else f"{rate:,.0f}/s"
    left = seconds_left(fanout, rate)
    shown = "" if left is None else f"{timedelta(seconds=round(left))} left"
    line.add_row(
        f"{fanout.settled:,}{of}",
        ProgressBar(total=total, completed=fanout.settled, width=BAR_WIDTH, pulse=total is None),
        pace,
        shown if fanout.state is State.RUNNING else fanout.state.value,
    )
    counts = [f"{fanout.accepted:,} accepted", f"{fanout.rejected:,} rejected"]
    counts += [f"{fanout.retried:,} retried"]
    counts += [
        f"{getattr(fanout, name):,} {WORDS[name][0]}"
        for name in ("not_sent", "maybe_sent", "invalid")
        if getattr(fanout, name)
    ]
    return Group(line, Text(", ".join(counts)))


def totals_table(fanout: Fanout) -> Table:
    """Return what became of all devices, a row each."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    spec = fanout.spec
    table.add_column(f"fan-out {fanout.id}", overflow="fold")
    table.add_column(f"{spec.provider}.{spec.app}", justify="right")
    table.add_row("devices", f"{fanout.devices:,}")
    for name, (words, style) in WORDS.items():
        count = getattr(fanout, name)
        if count or name in {"accepted", "rejected"}:
            table.add_row(words, Text(f"{count:,}", style if count else ""))
    for name in ("repeated", "retried"):
        if getattr(fanout, name):
            table.add_row(Text(name, "dim"), Text(f"{getattr(fanout, name):,}", "dim"))
    rate = fanout.settled / fanout.seconds if fanout.seconds else 0.0
    table.add_row(fanout.state.value, f"{fanout.seconds:,.1f} s, {rate:,.0f}/s")
    return table


def list_table(fanouts: list[Fanout]) -> Table:
    """Return a row for each fan-out."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    # On a narrow terminal those give way that may be folded.
    table.add_column("fan-out", no_wrap=True)
    table.add_column("app", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("began (UTC)", overflow="fold")
    for heading in ("devices", "accepted"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("key", overflow="fold")
    for one in fanouts:
        table.add_row(
            one.id,
            f"{one.spec.provider}.{one.spec.app}",
            one.state.value,
            f"{one.created_at:%d %b %H:%M}",
            f"{one.devices:,}",
            f"{one.accepted:,}",
            one.spec.key or "",
        )
    return table


# For programs -----------------------------------------------------------------------------------


def totals(fanout: Fanout) -> dict[str, Any]:
    """Return the line that ends a fan-out; one that is not over says so with its state."""
    line: dict[str, Any] = {"id": fanout.id, "devices": fanout.devices}
    line |= {name: getattr(fanout, name) for name in OUTCOMES}
    line |= {"repeated": fanout.repeated, "seconds": round(fanout.seconds, 3)}
    if fanout.state is not State.FINISHED:
        line["state"] = fanout.state.value
    if fanout.error:
        line["error"] = fanout.error
    return line


def standing(fanout: Fanout) -> dict[str, Any]:
    """Return all that is known of a fan-out; its rate is that since it began."""
    rate = fanout.settled / fanout.seconds if fanout.seconds else None
    left = seconds_left(fanout, rate)
    spec = fanout.spec
    return {
        **totals(fanout),
        "state": fanout.state.value,
        "provider": spec.provider,
        "app": spec.app,
        "key": spec.key,
        "expected": fanout.expected,
        "retried": fanout.retried,
        "failures": fanout.failures,
        "chunks_published": fanout.chunks_published,
        "chunks_done": fanout.chunks_done,
        "source_ended": fanout.source_ended,
        "has_publisher": fanout.has_publisher,
        "rate": None if rate is None else round(rate, 1),
        "seconds_left": None if left is None else round(left, 1),
        "created_at": fanout.created_at.isoformat(),
        "finished_at": fanout.finished_at and fanout.finished_at.isoformat(),
        "error": fanout.error,
    }


def masked(failure: Mapping[str, Any]) -> dict[str, Any]:
    """Return a failure as it may be shown on a terminal."""
    hidden = {name: failure.get(name) for name in ("token", "canonical_id")}
    return {**failure, **{name: mask(token) for name, token in hidden.items() if token}}


def is_well(fanout: Fanout) -> bool:
    """Return whether it is over, there were devices, and every one was accepted."""
    return (
        fanout.state is State.FINISHED
        and fanout.error is None
        and fanout.accepted == fanout.devices > 0
    )
