"""What the user sees: tables, JSON, and words for what the results say in codes."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pushtasks.masking import mask
from pushtasks.results import Action, Outcome

PROVIDERS: Final = {"apns": "APNs", "gcm": "FCM"}
OUTCOMES: Final = {
    Outcome.ACCEPTED: ("accepted", "green"),
    Outcome.REJECTED: ("rejected", "red"),
    Outcome.NOT_SENT: ("not sent", "yellow"),
    Outcome.MAYBE_SENT: ("maybe sent", "yellow"),
}
ADVICE: Final = {
    Action.NONE: "nothing",
    Action.DROP_TOKEN: "delete the token",
    Action.REPLACE_TOKEN: "store the new id instead",
    Action.FIX_REQUEST: "correct the push",
    Action.FIX_CONFIG: "correct the settings",
    Action.RETRY_LATER: "send it again later",
}
HEADINGS: Final = ("device", "provider", "outcome", "reason", "what to do")
#: Columns of all but the last heading, where several tables are to be in line.
WIDTHS: Final = (11, 8, 17, 14)


@cache
def out() -> Console:
    """Return the console of standard output."""
    return Console(highlight=False)


@cache
def err() -> Console:
    """Return the console of standard error: progress, warnings."""
    return Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """Print one JSON document on one line."""
    click.echo(json.dumps(document, ensure_ascii=False))


def warn(line: str) -> None:
    """Print a line that is not part of the output."""
    click.echo(f"pushtasks: {line}", err=True)


def result_table(results: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of one-device results."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for result in results:
        table.add_row(*result_cells(result))
    return table


def aligned_rows(rows: Iterable[Iterable[Text | str]]) -> Table:
    """Return rows whose columns stand under those of every other table made here."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=1)  # indents the others by two
    for width in WIDTHS:
        table.add_column(width=width, overflow="fold")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row("", *row)
    return table


def result_cells(
    result: Mapping[str, Any], tries: int = 1, setback: str | None = None
) -> tuple[str, str, Text, str, str]:
    """Return the cells of one device.

    Args:
        result: As a task returns it.
        tries: How often it was sent, the last included.
        setback: What the provider said to the first try, if that was not the last.
    """
    return (
        mask(result["token"]),
        PROVIDERS.get(result["provider"], result["provider"]),
        outcome_text(result["outcome"], tries),
        result["reason"] or setback or "",
        advice(result),
    )


def outcome_text(outcome: str, tries: int = 1, prefix: str = "") -> Text:
    """Return an outcome as a word in its colour."""
    word, style = OUTCOMES[Outcome(outcome)]
    return Text(prefix + word + (f", {_ordinal(tries)} try" if tries > 1 else ""), style)


def advice(result: Mapping[str, Any]) -> str:
    """Return what to do about a result."""
    words = ADVICE[Action(result["action"])]
    if result["dead_since"]:
        since = datetime.fromisoformat(result["dead_since"]).astimezone(UTC)
        return f"{words} (dead since {since:%d %b %H:%M} UTC)"
    return words


def _ordinal(number: int) -> str:
    return f"{number}{ {2: 'nd', 3: 'rd'}.get(number, 'th') }"
