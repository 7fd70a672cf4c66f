"""`pushtasks fanout`: a payload to any number of devices."""

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from pushtasks.adapters.cli import fanout_steering as steering
from pushtasks.adapters.cli.options import (
    STANDARD_INPUT,
    app_option,
    as_json,
    environment_option,
    expiration_option,
    payload_option,
    read_expiration,
    read_payload,
)

if TYPE_CHECKING:
    from pushtasks.fanout import Fanout

#: As of `pushtasks.fanout.records`, which is not imported for a `--help`.
FORMATS: Final = ("csv", "jsonl", "lines")


@click.group("fanout")
def command() -> None:
    """Send a payload to any number of devices; watch and steer that.

    Devices come from a file (CSV, JSON lines, or one token a line), from standard input, or from a
    key in Redis; they are read as the workers get on, and never held as a whole.

    \b
    Example:
      pushtasks fanout apns --tokens tokens.csv --payload payload.json
      pushtasks fanout status ID
    """  # noqa: D301


# Starting ---------------------------------------------------------------------------------------

_devices_options: Final = (
    click.option("--tokens", metavar="FILE|-", help="The devices: a file, or standard input."),
    click.option("--redis-key", metavar="KEY", help="Or a list or set in Redis, left as it is."),
    click.option("--format", "format_", type=click.Choice(FORMATS), help="Else seen by the file."),
)
_running_options: Final = (
    click.option(
        "--window",
        type=click.IntRange(1),
        help="Chunks that wait in the broker at the most; default 100, or 8 MiB of them.",
    ),
    click.option("--detach", is_flag=True, help="Return once all is published."),
    as_json,
)
_starting_options: Final = (
    *_devices_options,
    payload_option,
    app_option,
    click.option(
        "--chunk",
        type=click.IntRange(1, 1000),
        default=1000,
        show_default=True,
        help="Devices of one task.",
    ),
    click.option("--key", help="A name of your choice: the same again is not sent again."),
    *_running_options,
)
_apns_options: Final = (
    click.option("--topic", help="Bundle id, instead of the app's own."),
    click.option("--push-type", help="One of Apple's; else it follows from the payload."),
    click.option("--priority", type=int, help="10, 5 or 1."),
    expiration_option,
    click.option("--collapse-id", help="A newer push with the same takes an older one's place."),
    environment_option,
)
_gcm_options: Final = (
    click.option("--dry-run", is_flag=True, default=None, help="Let Google check, not deliver."),
)


def _with(*options: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@command.command()
@_with(*_starting_options, *_apns_options)
def apns(**options: Any) -> None:
    """Send to devices at Apple.

    A device of a CSV with a heading, or of JSON lines, may have a payload, priority and so on of
    its own. Exit status 1 says that a device was not accepted, or that there was none.

    \b
    Example:
      pushtasks fanout apns --tokens tokens.csv --payload payload.json --key news-42
      psql -Atc 'SELECT token FROM device' app | \\
        pushtasks fanout apns --tokens - --payload '{"aps": {"alert": "Hello"}}' --json
    """  # noqa: D301
    _start("apns", options)


@command.command()
@_with(*_starting_options, *_gcm_options)
def gcm(**options: Any) -> None:
    """Send to devices at Google (FCM).

    \b
    Example:
      pushtasks fanout gcm --tokens ids.txt --payload message.json
      pushtasks fanout gcm --redis-key ids --payload '{"data": {"n": "1"}}' --dry-run
    """  # noqa: D301
    _start("gcm", options)


@command.command()
@_with(*_starting_options, *_apns_options, *_gcm_options)
def mixed(**options: Any) -> None:
    """Send to devices at Apple and Google.

    Each device is named with its provider: lines are apns,TOKEN and gcm,ID, CSV with a column
    provider, or JSON objects with one. The payload is a text in quotes, or has a payload for each:
    {"apns": …, "gcm": …}.

    \b
    Example:
      pushtasks fanout mixed --tokens devices.csv --payload '"Hello"'
    """  # noqa: D301
    _start("mixed", options)


@command.command()
@click.argument("id_", metavar="ID")
@_with(*_devices_options)
@click.option("--force", is_flag=True, help="Even though the file has changed.")
@_with(*_running_options)
def resume(*, id_: str, force: bool, **options: Any) -> None:
    """Let a fan-out go on.

    One that is paused, or one whose publisher has stopped: then it is published from here. A file
    or a key in Redis is read on from where publishing had come to; devices that came from standard
    input are to be given once more.

    \b
    Example:
      pushtasks fanout resume 3f1c0a9be2d4
      pushtasks fanout resume 3f1c0a9be2d4 --tokens - < tokens.txt
    """  # noqa: D301
    from pushtasks import fanout  # noqa: PLC0415
    from pushtasks.adapters.cli.fanout_run import run  # noqa: PLC0415

    devices = _devices(options) if options["tokens"] or options["redis_key"] else None

    def publish(show: Callable[["Fanout"], None]) -> "Fanout":
        window = options["window"]
        return fanout.resume(id_, devices, force=force, window=window, progress=show)

    run(publish, detach=options["detach"], as_json=options["as_json"])


def _start(provider: str, options: dict[str, Any]) -> None:
    if options["tokens"] == options["payload"] == STANDARD_INPUT:
        raise click.UsageError("--tokens and --payload cannot both be read from standard input")
    if options["payload"] is None:
        raise click.UsageError("nothing to send: give --payload")
    payload, devices = read_payload(options["payload"]), _devices(options)
    if "expiration" in options:
        options["expiration"] = read_expiration(options["expiration"])
    from pushtasks import fanout  # noqa: PLC0415
    from pushtasks.adapters.cli.fanout_run import run  # noqa: PLC0415

    ours = {"tokens", "redis_key", "format_", "payload", "detach", "as_json"}
    given = {name: value for name, value in options.items() if name not in ours}

    def publish(show: Callable[["Fanout"], None]) -> "Fanout":
        return fanout.start(provider, devices, payload, progress=show, **given)

    run(publish, detach=options["detach"], as_json=options["as_json"])


def _devices(options: Mapping[str, Any]) -> Any:
    tokens, key, format_ = options["tokens"], options["redis_key"], options["format_"]
    if bool(tokens) == bool(key):
        raise click.UsageError("nobody to send to: give either --tokens or --redis-key")
    from pushtasks import fanout  # noqa: PLC0415

    if key:
        return fanout.redis_key(key)
    if tokens == STANDARD_INPUT:
        return fanout.stream(sys.stdin.buffer, format_)
    return fanout.file(tokens, format_)


for _command in (
    steering.list_,
    steering.status,
    steering.wait,
    steering.pause,
    steering.cancel,
    steering.failures,
):
    command.add_command(_command)
