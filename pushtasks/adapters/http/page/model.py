"""The page as rows of text, ready to be written down. Pure.

Here is decided what is shown, in which order and in which words; the template says where.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pushtasks.adapters.http.page.attention import Concern, concerns
from pushtasks.adapters.http.page.figures import Figure, Moment, counted, number, percent
from pushtasks.adapters.http.page.plot import Plot, plot, summed, totals
from pushtasks.adapters.http.page.rows.apps import AppRow, app_row
from pushtasks.adapters.http.page.rows.devices import DeviceRow, device_rows
from pushtasks.adapters.http.page.rows.fanouts import FanoutRow, fanout_row
from pushtasks.adapters.http.page.rows.providers import ProviderRow, provider_row
from pushtasks.adapters.http.page.snapshot import Snapshot
from pushtasks.news import Kind
from pushtasks.store.health import Minute


@dataclass(frozen=True, slots=True)
class Page:
    """Everything."""

    now: Moment
    #: With seconds.
    clock: str
    concerns: tuple[Concern, ...]
    concerns_heading: str
    is_readable: bool
    is_empty: bool
    figures: tuple[Figure, ...]
    #: None: nothing was sent in the last hour.
    plot: Plot | None
    apps: tuple[AppRow, ...]
    fanouts: tuple[FanoutRow, ...]
    providers: tuple[ProviderRow, ...]
    dead: tuple[DeviceRow, ...]
    replaced: tuple[DeviceRow, ...]
    #: What stands in place of either of them if it is empty.
    none_found: str


def page_of(snapshot: Snapshot) -> Page:
    """Return the page that shows a snapshot."""
    hour = summed(app.health.minutes for app in snapshot.apps if app.health)
    sent = any(m.accepted or m.rejected or m.unsent for m in hour)
    found = concerns(snapshot)
    return Page(
        now=Moment.of(snapshot.now, snapshot.now),
        clock=f"{snapshot.now:%H:%M:%S}",
        concerns=found,
        concerns_heading=f"{counted(len(found), 'thing')} to look at",
        is_readable=snapshot.stream is not None,
        is_empty=not any(app.counters for app in snapshot.apps) and not snapshot.fanouts,
        figures=tuple(_figures(hour)),
        plot=plot(hour) if sent else None,
        apps=tuple(app_row(app) for app in snapshot.apps),
        fanouts=tuple(fanout_row(fanout, snapshot) for fanout in snapshot.fanouts),
        providers=tuple(provider_row(app, snapshot) for app in snapshot.apps),
        dead=device_rows(snapshot, Kind.EXPIRED),
        replaced=device_rows(snapshot, Kind.REPLACED),
        none_found=_none_found(len(snapshot.news)),
    )


def _figures(hour: Sequence[Minute]) -> Iterable[Figure]:
    counts = totals(hour)
    labels = (("accepted", "accepted"), ("rejected", "rejected"), ("unsent", "given up"))
    for (kind, label), count in zip(labels, counts, strict=True):
        share = percent(count, sum(counts)) if count else ""
        yield Figure(kind, label, number(count), share)
    yield Figure("rate", "in the last full minute", number(sum(totals(hour[-2:-1]))))


def _none_found(looked_through: int) -> str:
    if not looked_through:
        return "None."
    return f"None among the last {counted(looked_through, 'piece')} of news."
