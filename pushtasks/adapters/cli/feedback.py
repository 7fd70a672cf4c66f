"""`pushtasks feedback`: what providers told about devices."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import out, print_json
from pushtasks.adapters.cli.stopping import ends_well
from pushtasks.masking import mask

if TYPE_CHECKING:
    from rich.table import Table

    from pushtasks.news import Entry
    from pushtasks.store import Store

KINDS: Final = ("expired", "replaced", "rejected_late")
COUNT: Final = 20
#: Entries that are read at a time.
PAGE: Final = 1000
#: Seconds between two looks at the stream, and the longest wait of one read for a group.
PAUSE: Final = 0.5
WAIT: Final = 2.0
#: Of each column but the last, so that the rows of a stream that is followed stand in line.
WIDTHS: Final = {"seen (UTC)": 12, "news": 13, "app": 14, "device": 7}


@click.command
@click.option("--count", type=click.IntRange(1), help=f"At most so many; default {COUNT}.")
@click.option("--kind", type=click.Choice(KINDS), help="News of this kind only.")
@click.option("--app", help="News of the apps of this name only.")
@click.option("--follow", is_flag=True, help="Wait for more, until Ctrl-C.")
@click.option("--group", metavar="NAME", help="Hand all entries to the readers of this name, once.")
@as_json
def command(*, group: str | None, **options: Any) -> None:
    """Show what providers told about devices: dead tokens, replaced ids, late rejections.

    The newest entries of the feedback stream, the oldest of them first; with --json one JSON object
    a line, with device tokens in full. They stay in the stream.

    With --group (and --json) entries are handed on instead: all that this group has not had yet, or
    the next --count of them. An entry is acknowledged once its line is written; until then it comes
    again.

    \b
    Example:
      pushtasks feedback --kind expired --count 100
      pushtasks feedback --follow
      pushtasks feedback --group billing --json --follow | ./delete-tokens
    """  # noqa: D301
    from pushtasks.adapters.broker import store_of  # noqa: PLC0415
    from pushtasks.host import current_app  # noqa: PLC0415

    if group is not None:
        _check_group(group, options)
    store = store_of(current_app())
    with ends_well():
        if group is not None:
            _hand_on(group, options["count"], follows=options["follow"])
        else:
            _show(store, options)


def _check_group(group: str, options: Mapping[str, Any]) -> None:
    if not options["as_json"]:
        raise click.UsageError("--group hands entries on, and a table masks tokens: add --json")
    if options["kind"] or options["app"]:
        raise click.UsageError("--group takes every entry: leave out --kind and --app")
    if group.startswith("pushtasks."):
        raise click.UsageError(f"--group: names like {group!r} are ours; choose another")


# Looking --------------------------------------------------------------------------------------


def _show(store: "Store", options: Mapping[str, Any]) -> None:
    newest = store.entries(count=PAGE, newest_first=True)
    last = newest[0].id if newest else None
    found = islice(_matching(store, newest, options), options["count"] or COUNT)
    _print(list(found)[::-1], options, is_first=True)
    while options["follow"]:
        time.sleep(PAUSE)
        entries = store.entries(after=last, count=PAGE)
        last = entries[-1].id if entries else last
        _print([entry for entry in entries if _matches(entry, options)], options)


def _matching(
    store: "Store", newest: Sequence["Entry"], options: Mapping[str, Any]
) -> Iterator["Entry"]:
    """Yield what is asked for, the newest first."""
    entries = newest
    while entries:
        yield from (entry for entry in entries if _matches(entry, options))
        entries = store.entries(after=entries[-1].id, count=PAGE, newest_first=True)


def _matches(entry: "Entry", options: Mapping[str, Any]) -> bool:
    return options["kind"] in {None, entry.kind.value} and options["app"] in {None, entry.app}


def _print(
    entries: Sequence["Entry"], options: Mapping[str, Any], *, is_first: bool = False
) -> None:
    if options["as_json"]:
        for entry in entries:
            print_json(entry.to_dict())
    elif entries:
        out().print(table(entries, has_heading=is_first))
    elif is_first:
        click.echo("no news about devices", err=True)


def table(entries: Sequence["Entry"], *, has_heading: bool = True) -> "Table":
    """Return a row for each entry, device tokens masked."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD if has_heading else None, pad_edge=False)
    table.show_header = has_heading
    for heading, width in WIDTHS.items():
        table.add_column(heading, width=width, overflow="fold")
    table.add_column("what was told", overflow="fold")
    for entry in entries:
        name = f"{entry.provider}.{entry.app}"
        kind = entry.kind.value.replace("_", " ")
        table.add_row(_time(entry.seen_at), kind, name, mask(entry.token), _told(entry))
    return table


def _told(entry: "Entry") -> str:
    if entry.canonical_id:
        return f"is now {mask(entry.canonical_id)}"
    since = f", dead since {_time(entry.dead_since)}" if entry.dead_since else ""
    return f"{entry.reason or ''}{since}"


def _time(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%d %b %H:%M")


# Handing on -----------------------------------------------------------------------------------


def _hand_on(group: str, count: int | None, *, follows: bool) -> None:
    """Write entries and acknowledge those that are written."""
    from pushtasks import feedback  # noqa: PLC0415

    left = count
    while left is None or left > 0:
        batch = feedback.read(group, count=min(left or PAGE, PAGE), wait=WAIT if follows else 0)
        for entry in batch:
            print_json(entry.to_dict())  # and flush
        batch.ack()
        if left is not None:
            left -= len(batch)
        if not batch and not follows:
            return
