"""`pushtasks relay`: entries of a Redis list, as producers for gapless push them, to workers."""

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import click

from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import print_json, warn
from pushtasks.adapters.cli.stopping import SIGNALS

if TYPE_CHECKING:
    from pushtasks.adapters.relay.jobs import Job
    from pushtasks.adapters.relay.taking import EntryList

#: Entries of a task, tasks that wait for a worker, seconds that a silent relay counts as alive.
BATCH: Final = 500
LARGEST_BATCH: Final = 1000
WINDOW: Final = 100
LEASE: Final = 15.0


@click.command
@click.argument(
    "settings",
    required=False,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="[SETTINGS]",
)
@click.option("--app", help="The app in the workers' settings that the entries are handed over to.")
@click.option("--key", metavar="LIST", help="Key of the Redis list, instead of the settings' own.")
@click.option("--redis-url", metavar="URL", help="The Redis that has it, instead of the settings'.")
@click.option(
    "--batch",
    type=click.IntRange(1, LARGEST_BATCH),
    default=BATCH,
    show_default=True,
    help="Entries of a task at the most.",
)
@click.option(
    "--window",
    type=click.IntRange(1),
    default=WINDOW,
    show_default=True,
    help="Tasks that may wait for a worker; while they do, entries stay in the list.",
)
@click.option(
    "--lease",
    type=click.FloatRange(1),
    default=LEASE,
    show_default=True,
    help="Seconds of silence after which other relays take over what a relay holds.",
)
@click.option("--dead", is_flag=True, help="Print the entries that could not be sent, and end.")
@click.option("--revive", is_flag=True, help="Put these back into the list, and end.")
@as_json
def command(
    *,
    settings: Path | None,
    app: str | None,
    key: str | None,
    redis_url: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Take pushes from a Redis list, as gapless did, and have workers send them.

    SETTINGS is gapless's own settings file, or a pushtasks.toml. Producers push JSON objects to the
    list: token and data (the payload), and perhaps identifier and expiry. Several relays may work
    side by side.

    With gapless's settings alone it is self-contained: it runs a worker of its own that sends by
    their certificate. With --app it hands over to the workers of PUSHTASKS_BROKER_URL. Entries that
    can never be sent go to the list LIST:pushtasks:dead, with the reason.

    \b
    Example:
      pushtasks relay settings.json
      pushtasks relay settings.json --app default
      pushtasks relay --key push_queue --redis-url redis://localhost:6379/0 --app default
      pushtasks relay settings.json --dead
    """  # noqa: D301
    from pushtasks.adapters.relay import jobs  # noqa: PLC0415
    from pushtasks.adapters.relay.own_worker import own_worker  # noqa: PLC0415
    from pushtasks.adapters.relay.taking import EntryList  # noqa: PLC0415

    if options["dead"] and options["revive"]:
        raise click.UsageError("--dead prints and --revive puts back: give one of them")
    gapless = jobs.read_settings(settings, key) if settings else None
    place = jobs.place_of(gapless, redis_url, key)
    entries = EntryList(place.redis_url, place.key, options["lease"])
    if options["dead"]:
        for letter in entries.letters():
            click.echo(letter)
        return
    if options["revive"]:
        _tell({"revived": entries.revive()}, as_json=as_json)
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with ExitStack() as stack:
        if gapless and not app:
            job = jobs.job_alone(gapless, place.redis_url)
            stack.enter_context(own_worker(gapless, place.redis_url))
        else:
            job = jobs.job_with_workers(app or "default")
            if gapless and gapless.log_successes and not job.log_successes:
                warn(
                    f"log_successes: workers send, so set it in [apns.{job.app}] of their settings"
                )
        _run(job, entries, options, as_json=as_json)


def _run(job: "Job", entries: "EntryList", options: Mapping[str, Any], *, as_json: bool) -> None:
    from pushtasks.adapters.limits import await_no_results  # noqa: PLC0415
    from pushtasks.adapters.relay.publishing import Publisher  # noqa: PLC0415
    from pushtasks.adapters.relay.relay import Relay  # noqa: PLC0415

    await_no_results()
    publisher = Publisher(job.celery_app, job.app, options["window"])
    with _signals() as stopping:
        relay = Relay(
            entries,
            publisher,
            job.reader,
            batch=options["batch"],
            lease=options["lease"],
            stopping=stopping,
        )
        begun = {"relay": entries.id, "list": entries.name, "app": job.app}
        _tell({**begun, "queue": publisher.queue}, as_json=as_json)
        totals = relay.run()
    _tell(asdict(totals), as_json=as_json)


def _tell(what: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(what)
    else:
        click.echo(", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in what.items()))
    sys.stdout.flush()


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Yield what is set by the first signal to stop; a second one is not waited for."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
