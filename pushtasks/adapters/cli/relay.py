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
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import print_json, warn
from pushtasks.adapters.cli.stopping import SIGNALS

if TYPE_CHECKING:
    from celery import Celery

    from pushtasks.adapters.relay.gapless import GaplessSettings
    from pushtasks.adapters.relay.taking import EntryList
    from pushtasks.config import ApnsApp

#: Entries of a task, tasks that wait for a worker, seconds that a silent relay counts as alive.
BATCH: Final = 500
LARGEST_BATCH: Final = 1000
WINDOW: Final = 100
LEASE: Final = 15.0


class Job(NamedTuple):
    """What a command line asks for."""

    celery_app: "Celery"
    #: The app's name, and the app if this process knows it.
    name: str
    app: "ApnsApp | None"
    redis_url: str
    key: str
    #: Of a relay with a worker of its own.
    gapless: "GaplessSettings | None" = None


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
def command(*, settings: Path | None, as_json: bool, **options: Any) -> None:
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
    from pushtasks.adapters.relay.taking import EntryList  # noqa: PLC0415

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    job = _job(settings, options)
    entries = EntryList(job.redis_url, job.key, options["lease"])
    if options["dead"]:
        for letter in entries.letters():
            click.echo(letter)
    elif options["revive"]:
        _tell({"revived": entries.revive()}, as_json=as_json)
    else:
        _run(job, entries, options, as_json=as_json)


def _run(job: Job, entries: "EntryList", options: Mapping[str, Any], *, as_json: bool) -> None:
    from pushtasks.adapters.relay.entries import Reader  # noqa: PLC0415
    from pushtasks.adapters.relay.publishing import Publisher  # noqa: PLC0415
    from pushtasks.adapters.relay.relay import Relay  # noqa: PLC0415

    is_binary = job.app is not None and job.app.protocol == "binary"
    reader = Reader(job.app.command if job.app and is_binary else None)
    publisher = Publisher(job.celery_app, job.name, options["window"])
    with ExitStack() as stack:
        stopping = stack.enter_context(_signals())
        if job.gapless:
            from pushtasks.adapters.relay.own_worker import own_worker  # noqa: PLC0415

            stack.enter_context(own_worker(job.gapless, job.redis_url))
        relay = Relay(
            entries,
            publisher,
            reader,
            batch=options["batch"],
            lease=options["lease"],
            stopping=stopping,
        )
        begun = {"relay": entries.id, "list": entries.name, "app": job.name}
        _tell({**begun, "queue": publisher.queue}, as_json=as_json)
        totals = relay.run()
    _tell(asdict(totals), as_json=as_json)


def _job(file: Path | None, options: Mapping[str, Any]) -> Job:
    """Return what is asked for.

    Raises:
        InvalidPush: There is no such app.
        InvalidSettings: The settings cannot be used, or do not say enough.
    """
    gapless = None
    if file is not None and file.suffix == ".toml":
        _use_file(file)
    elif file is not None:
        gapless = _gapless(file)
    if gapless and options["key"]:
        gapless = gapless.model_copy(update={"redis_queue_key": options["key"]})
    if gapless and not options["app"]:
        return _alone(gapless, options["redis_url"] or gapless.redis_url)
    return _with_workers(gapless, options)


def _alone(gapless: "GaplessSettings", redis_url: str) -> Job:
    from pushtasks.adapters.relay.standalone import own_celery_app  # noqa: PLC0415
    from pushtasks.config import current_settings  # noqa: PLC0415

    name = gapless.redis_queue_key
    celery_app = own_celery_app(gapless, redis_url)
    app = current_settings(celery_app).apns_app(name)
    return Job(celery_app, name, app, redis_url, name, gapless)


def _with_workers(gapless: "GaplessSettings | None", options: Mapping[str, Any]) -> Job:
    from pushtasks.config import current_settings  # noqa: PLC0415
    from pushtasks.errors import InvalidSettings  # noqa: PLC0415
    from pushtasks.host import current_app  # noqa: PLC0415

    celery_app, name = current_app(), options["app"] or "default"
    settings = current_settings(celery_app)
    app = settings.apns_app(name) if settings.configured else None
    key = options["key"] or (gapless and gapless.redis_queue_key)
    url = options["redis_url"] or (gapless and gapless.redis_url) or settings.redis_url
    if not key:
        raise click.UsageError("no list: name gapless's settings file, or the list with --key")
    if not url:
        raise InvalidSettings(
            "no Redis that could have the list: give --redis-url redis://host:port/database"
        )
    if gapless and gapless.log_successes and not (app and app.log_successes):
        warn(f"log_successes: the workers send, so set it in [apns.{name}] of their settings")
    return Job(celery_app, name, app, url, key)


def _gapless(file: Path) -> "GaplessSettings":
    from pushtasks.adapters.relay.gapless import parse_gapless  # noqa: PLC0415
    from pushtasks.errors import InvalidSettings  # noqa: PLC0415

    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSettings(
            f"settings file {file} cannot be read ({error.strerror}); give the path of gapless's"
            " settings file, or of a pushtasks.toml"
        ) from None
    except UnicodeDecodeError:
        raise InvalidSettings(f"settings file {file} is not UTF-8 text; save it as such") from None
    return parse_gapless(text, file.absolute())


def _use_file(file: Path) -> None:
    """Let settings be read from a file, before anything reads them."""
    import os  # noqa: PLC0415

    from pushtasks.config.sources import FILE_VARIABLE  # noqa: PLC0415

    os.environ[FILE_VARIABLE] = str(file.absolute())


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
