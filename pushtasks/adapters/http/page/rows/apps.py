"""What became of the pushes of each app, since the report was last set to 0. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from pushtasks.adapters.http.page.figures import number, percent
from pushtasks.adapters.http.page.plot import spark, totals
from pushtasks.adapters.http.page.snapshot import App

#: Reasons that are shown at once; the others on demand.
REASONS: Final = 3


class Reason(NamedTuple):
    """Why pushes were rejected, and how many."""

    pushes: str
    text: str


@dataclass(frozen=True, slots=True)
class AppRow:
    """What became of the pushes of one app."""

    label: str
    service: str
    accepted: str
    rejected: str
    share_rejected: str
    unsent: str
    waiting: str
    reasons: tuple[Reason, ...]
    more_reasons: tuple[Reason, ...]
    #: What was told of its devices.
    devices: tuple[str, ...]
    #: The last hour as SVG paths, each with its kind.
    spark: tuple[tuple[str, str], ...]
    spark_summary: str


def app_row(app: App) -> AppRow:
    """Return the row of an app."""
    counters = app.counters
    by_count = sorted(counters.get("rejected", {}).items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = [Reason(number(count), text) for text, count in by_count if count]
    rejected = sum(count for _, count in by_count) + counters.get("late", 0)
    if counters.get("late"):
        reasons.append(Reason(number(counters["late"]), "after their task had ended"))
    accepted = counters.get("accepted", 0)
    unsent = counters.get("not_sent", 0) + counters.get("maybe_sent", 0)
    shown = len(reasons) if len(reasons) == REASONS + 1 else REASONS
    return AppRow(
        label=app.label,
        service=app.service,
        accepted=number(accepted),
        rejected=number(rejected),
        share_rejected=percent(rejected, accepted + rejected + unsent) if rejected else "",
        unsent=number(unsent),
        waiting=number(counters.get("pending", 0)),
        reasons=tuple(reasons[:shown]),
        more_reasons=tuple(reasons[shown:]),
        devices=tuple(_told(app)),
        spark=spark(app.health.minutes) if app.health else (),
        spark_summary=_hour_in_words(app),
    )


def _told(app: App) -> Iterable[str]:
    for name, words in (
        ("dead_tokens", "dead"),
        ("canonical_ids", "replaced"),
        ("held", "held back"),
    ):
        if app.counters.get(name):
            yield f"{number(app.counters[name])} {words}"


def _hour_in_words(app: App) -> str:
    accepted, rejected, unsent = totals(app.health.minutes if app.health else ())
    return f"{number(accepted)} accepted, {number(rejected + unsent)} not"
