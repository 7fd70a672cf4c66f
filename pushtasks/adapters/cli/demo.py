"""`pushtasks demo`: the whole way of a push, on this machine alone."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import click
from rich.text import Text

from pushtasks.adapters.cli.extras import EMBEDDED, need
from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import (
    HEADINGS,
    PROVIDERS,
    aligned_rows,
    err,
    out,
    outcome_text,
    print_json,
    result_cells,
)
from pushtasks.adapters.cli.stopping import stoppable
from pushtasks.results import Outcome

if TYPE_CHECKING:
    from pushtasks.adapters.cli.rehearsal import Performed, Rehearsal

#: The emulator's services, and why there are several connections to some.
SERVICES: Final = {
    "apns": "APNs",
    "gateway": "gateway (a refusal ends one)",
    "feedback": "feedback service",
    "fcm": "Google (FCM, access token, GCM)",
}


@click.command
@as_json
def command(*, as_json: bool) -> None:
    """Send pushes on this machine alone, and show what becomes of them.

    Starts a Valkey (a Redis) of its own, a pretend Apple and Google that reject some of the
    devices, and a real Celery worker. The pushes go the whole way, over HTTP/2 and TLS. It takes a
    few seconds, needs no account and leaves nothing behind.

    \b
    Example:
      pushtasks demo
    """  # noqa: D301
    need(EMBEDDED)
    if not as_json:
        click.echo("Sending pushes to a pretend Apple and Google, through a real Celery worker.")
    with stoppable():
        rehearsal = _run(is_told=not as_json)
    differences = rehearsal.differences()
    if as_json:
        print_json(document(rehearsal, differences))
    else:
        _print(rehearsal, differences)
    if differences:
        raise SystemExit(1)


def _run(*, is_told: bool) -> "Rehearsal":
    from pushtasks.adapters.cli.control import Control  # noqa: PLC0415
    from pushtasks.adapters.cli.embedded import embedded  # noqa: PLC0415
    from pushtasks.adapters.cli.processes import WorkerOptions  # noqa: PLC0415
    from pushtasks.adapters.cli.rehearsal import rehearse  # noqa: PLC0415
    from pushtasks.adapters.cli.scenario import scenario  # noqa: PLC0415

    started = time.monotonic()
    with err().status("Starting") as status, embedded(status.update, WorkerOptions()) as running:
        if is_told:
            err().print(f"All is running after {time.monotonic() - started:.1f} s.")
        status.update("Sending; one device has to be tried again")
        rehearsal = rehearse(scenario(datetime.now(UTC)), Control(running.endpoints.control))
        status.update("Stopping")
    return rehearsal


def document(rehearsal: "Rehearsal", differences: list[str]) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "ok": not differences,
        "differences": differences,
        "pushes": rehearsal.pushes,
        "seconds": round(rehearsal.seconds, 3),
        "connections": rehearsal.connections,
        "calls": [
            {
                "call": one.step.call,
                "result": one.result,
                "error": one.error,
                "tries": {
                    token.token: rehearsal.tries.get(token.token, 0) for token, _ in one.shown()
                },
            }
            for one in rehearsal.performed
        ],
        "poll_feedback": rehearsal.polled,
        "feedback": [entry.to_dict() for entry in rehearsal.news],
        "report": rehearsal.report,
    }


def _print(rehearsal: "Rehearsal", differences: list[str]) -> None:
    console = out()
    console.print()
    console.print(aligned_rows([[Text(heading, "dim") for heading in HEADINGS]]))
    for call, performed in groupby(rehearsal.performed, key=lambda one: one.step.call):
        console.print()
        console.print(Text(call, "bold"))
        console.print(aligned_rows(_rows(rehearsal, performed)))
    console.print()
    _print_news(rehearsal)
    _print_numbers(rehearsal)
    for line in differences:
        console.print(Text(f"Not as scripted: {line}", "red"))
    if not differences:
        _print_next()


def _rows(
    rehearsal: "Rehearsal", performed: "Iterable[Performed]"
) -> Iterable[Iterable[Text | str]]:
    for one in performed:
        if one.is_summary and one.result is not None:
            count = outcome_text(Outcome.ACCEPTED, prefix=f"{one.result['accepted']} ")
            devices = f"{len(one.step.devices)} devices"
            yield (devices, PROVIDERS[one.result["provider"]], count, "", "nothing")
        for device, result in one.shown():
            tries = rehearsal.tries.get(device.token, 1)
            yield result_cells(result, tries, rehearsal.setbacks.get(device.token))


def _print_news(rehearsal: "Rehearsal") -> None:
    from pushtasks.adapters.cli import feedback, report  # noqa: PLC0415

    console = out()
    console.print(Text("poll_feedback.delay(), as beat does every day", "bold"))
    for app in (rehearsal.polled or {}).get("apps", ()):
        console.print(f"  {app['provider']}.{app['app']}: {app['found']} gone ({app['source']})")
    console.print()
    console.print(Text("pushtasks feedback", "bold"))
    console.print(feedback.table(rehearsal.news))
    console.print(Text("pushtasks report", "bold"))
    console.print(report.table(rehearsal.report))


def _print_numbers(rehearsal: "Rehearsal") -> None:
    opened = ", ".join(
        f"{SERVICES.get(service, service)} {count}"
        for service, count in rehearsal.connections.items()
    )
    out().print(
        f"{rehearsal.pushes} pushes in {rehearsal.seconds:.1f} s; connections that the worker"
        f" opened: {opened}."
    )


def _print_next() -> None:
    lines = (
        "",
        "Next:",
        "  pushtasks up           the same, and it stays up: try your own code on it",
        "  pushtasks send --help  send a push from the command line",
        "  pushtasks check        once pushtasks.toml names your keys: are they right?",
    )
    for line in lines:
        out().print(line, soft_wrap=True)
