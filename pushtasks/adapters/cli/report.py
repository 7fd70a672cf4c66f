"""`pushtasks report`: what became of all pushes, over all processes."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import out, print_json, warn

if TYPE_CHECKING:
    from celery import Celery
    from rich.table import Table

#: What the counters of an app say, in the order of the table.
WORDS: Final = {
    "attempts": "tried",
    "accepted": "accepted",
    "rejected": "rejected: ",
    "late": "rejected after their task had ended",
    "pending": "wait for another try",
    "not_sent": "given up: not sent",
    "maybe_sent": "given up: maybe sent",
    "canonical_ids": "accepted for an id that has a successor",
    "dead_tokens": "devices named dead",
    "held": "rejections held back: a wrong environment may explain them",
}


@click.command
@click.option("--reset", is_flag=True, help="Count anew from here on.")
@as_json
def command(*, reset: bool, as_json: bool) -> None:
    """Show what became of all pushes, by provider and app, over all workers.

    Also the length of the feedback stream, and how many tasks wait for a worker.

    \b
    Example:
      pushtasks report
      pushtasks report --json --reset
    """  # noqa: D301
    from pushtasks.adapters.broker import store_of  # noqa: PLC0415
    from pushtasks.host import current_app  # noqa: PLC0415

    app = current_app()
    store = store_of(app)
    report = {**store.report(), "queues": _waiting(app)}
    if as_json:
        print_json(report)
    else:
        _print(report)
    if reset:
        store.reset_report()


def _waiting(app: "Celery") -> Mapping[str, int]:
    """Return how many tasks wait in our queues; empty, and a warning, if the broker is away."""
    from pushtasks.adapters.broker import (  # noqa: PLC0415
        Unreachable,
        queue_of,
        tasks_waiting,
    )
    from pushtasks.tasks import poll_feedback, send_apns, send_apns_many  # noqa: PLC0415

    tasks = (send_apns, send_apns_many, poll_feedback)
    try:
        return tasks_waiting(app, dict.fromkeys(queue_of(app, task) for task in tasks))
    except Unreachable as error:
        warn(f"broker {error}: how many tasks wait there is not known")
        return {}


def _print(report: Mapping[str, Any]) -> None:
    if report["apns"] or report["gcm"]:
        out().print(table(report))
    else:
        click.echo("nothing was sent yet")
    stream = report["stream"]
    lost = f", {stream['lost']} lost unread" if stream["lost"] else ""
    click.echo(f"feedback stream: {stream['entries']} of at most {stream['length']} entries{lost}")
    if report["queues"]:
        waiting = ", ".join(f"{count} in {queue}" for queue, count in report["queues"].items())
        click.echo(f"tasks that wait for a worker: {waiting}")


def table(report: Mapping[str, Any]) -> "Table":
    """Return a row for each thing that can become of a push, if it became of any."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("app", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("pushes", justify="right")
    table.add_column("what became of them", overflow="fold")
    for provider in ("apns", "gcm"):
        for app, counters in report[provider].items():
            for place, (count, words) in enumerate(_lines(counters)):
                table.add_row("" if place else f"{provider}.{app}", str(count), words)
            table.add_section()
    return table


def _lines(counters: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the counters that are not 0, or that of all pushes if no other."""
    for name, words in WORDS.items():
        if name == "rejected":
            by_count = sorted(counters[name].items(), key=lambda pair: -pair[1])
            yield from ((count, words + reason) for reason, count in by_count if count)
        elif counters[name] or name == "attempts":
            yield counters[name], words
