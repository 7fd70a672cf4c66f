"""`pushtasks check`: would a push go out?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pushtasks.adapters.cli.findings import Finding, State, ok, table, warning, wrong
from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import err, out, print_json
from pushtasks.errors import InvalidPush, InvalidSettings

if TYPE_CHECKING:
    from celery import Celery

    from pushtasks.config import Settings


@click.command
@click.option("--app", help="Look at the apps of this name only.")
@click.option("--no-connect", is_flag=True, help="Read settings, keys and certificates only.")
@as_json
def command(*, app: str | None, no_connect: bool, as_json: bool) -> None:
    """Check settings, keys, connections, broker and workers; no push is sent.

    Certificates that end within 30 days are warned of. Exit status 1 says that something is wrong.

    \b
    Example:
      pushtasks check
      pushtasks check --app default --no-connect --json
    """  # noqa: D301
    findings = []
    with err().status("Checking") as status:
        for finding in _findings(app, connects=not no_connect):
            status.update(f"Checking; {finding.subject} is {finding.state}")
            findings.append(finding)
    is_well = all(finding.state is not State.WRONG for finding in findings)
    if as_json:
        print_json({"ok": is_well, "findings": [finding.to_dict() for finding in findings]})
    else:
        out().print(table(findings))
    if not is_well:
        raise SystemExit(1)


def _findings(name: str | None, *, connects: bool) -> Iterator[Finding]:
    from pushtasks.config import current_settings  # noqa: PLC0415
    from pushtasks.host import current_app  # noqa: PLC0415

    celery_app = current_app()
    try:
        settings = current_settings(celery_app)
    except InvalidSettings as error:
        yield from _mistakes(str(error))
    else:
        yield from _apps(celery_app, settings, name, connects=connects)
    if connects:
        yield from _services(celery_app)


def _mistakes(message: str) -> Iterator[Finding]:
    """Return a finding for each line of an error about settings, which may begin with a count."""
    first, *rest = message.splitlines()
    for line in rest or [first]:
        yield wrong("settings", line.strip())


def _apps(
    celery_app: "Celery", settings: "Settings", name: str | None, *, connects: bool
) -> Iterator[Finding]:
    from pushtasks.adapters.cli.check_apps import check_apns, check_gcm  # noqa: PLC0415

    apns = [app for app in settings.apns.values() if name in {None, app.name}]
    gcm = [app for app in settings.gcm.values() if name in {None, app.name}]
    if not settings.configured:
        yield wrong(
            "settings",
            "there is no app: write one into pushtasks.toml in this folder, or set"
            " PUSHTASKS_CONFIG to a file",
        )
        return
    if name is not None and not apns and not gcm:
        known = ", ".join(sorted({*settings.apns, *settings.gcm}))
        raise InvalidPush(f"--app: there is no app {name!r} in the settings; there are {known}")
    yield ok("settings", f"{len(apns)} at Apple, {len(gcm)} at Google, in {settings.directory}")
    for one in apns:
        yield from check_apns(celery_app, one, connects=connects)
    for other in gcm:
        yield from check_gcm(celery_app, other, connects=connects)


def _services(celery_app: "Celery") -> Iterator[Finding]:
    from pushtasks.adapters.broker import (  # noqa: PLC0415
        Unreachable,
        connect_broker,
        connect_results,
    )

    try:
        yield ok("broker", connect_broker(celery_app))
    except Unreachable as error:
        yield wrong("broker", f"{error}: start it, or correct PUSHTASKS_BROKER_URL")
        return
    try:
        yield ok("results", connect_results(celery_app))
    except Unreachable as error:
        yield wrong("results", f"{error}: start it, or correct PUSHTASKS_RESULT_BACKEND")
        return
    yield from _workers(celery_app)


def _workers(celery_app: "Celery") -> Iterator[Finding]:
    from pushtasks.adapters.broker import queue_of, queues_by_worker  # noqa: PLC0415
    from pushtasks.tasks import send_apns, send_apns_many  # noqa: PLC0415

    workers = queues_by_worker(celery_app)
    if not workers:
        yield wrong("workers", "none answers: start one with  celery -A pushtasks worker")
        return
    served = {queue for queues in workers.values() for queue in queues}
    for queue in dict.fromkeys(queue_of(celery_app, task) for task in (send_apns, send_apns_many)):
        if queue not in served:
            yield warning(
                "workers",
                f"none takes tasks from the queue {queue}: start one with"
                f"  celery -A pushtasks worker -Q {queue}",
            )
    yield ok("workers", f"{', '.join(sorted(workers))}; queues {', '.join(sorted(served))}")
