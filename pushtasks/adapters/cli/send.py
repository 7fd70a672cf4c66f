"""`pushtasks send`: a push from the command line."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from pushtasks.adapters.cli.options import (
    app_option,
    as_json,
    environment_option,
    expiration_option,
    payload_option,
    read_expiration,
    read_lines,
    read_payload,
)
from pushtasks.adapters.cli.output import err, out, print_json, result_table, warn

#: Seconds.
TIMEOUT: Final = 60.0


@click.group("send")
def command() -> None:
    """Send a push to devices.

    It goes through the broker to a worker, as any other, and its result is shown; --direct sends
    it from here, without broker and worker.

    Exit status 1 says that a device was not accepted.

    \b
    Example:
      pushtasks send apns DEVICE_TOKEN --alert Hello
      pushtasks send gcm REGISTRATION_ID --title Hello --direct
    """  # noqa: D301


def sending_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that both providers have."""
    for option in (
        as_json,
        click.option("--direct", is_flag=True, help="Send from here: no broker, no worker."),
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            default=TIMEOUT,
            show_default=True,
            help="Seconds to wait for the results.",
        ),
        click.option("--no-wait", is_flag=True, help="Print the task ids, wait for nothing."),
        app_option,
        click.option("--tokens", metavar="FILE|-", help="More devices, one a line."),
    ):
        function = option(function)
    return function


@command.command()
@click.argument("token", nargs=-1)
@payload_option
@click.option("--alert", metavar="TEXT", help="Instead of a payload: the text to show.")
@click.option("--topic", help="Bundle id, instead of the app's own.")
@click.option("--push-type", help="One of Apple's; else it follows from the payload.")
@click.option("--priority", type=int, help="10, 5 or 1.")
@expiration_option
@click.option("--collapse-id", help="A newer push with the same takes an older one's place.")
@click.option("--apns-id", help="A UUID, for one device only; else the task's id.")
@environment_option
@sending_options
def apns(*, token: tuple[str, ...], payload: str | None, alert: str | None, **options: Any) -> None:
    """Send to devices at Apple, by their device tokens.

    \b
    Example:
      pushtasks send apns 00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0 \\
        --payload '{"aps": {"alert": "Hello", "badge": 1}}' --expiration 3600
      pushtasks send apns --tokens devices.txt --payload payload.json --json
    """  # noqa: D301
    devices = _devices(token, options["tokens"], payload)
    if options["apns_id"] and len(devices) > 1:
        raise click.UsageError("--apns-id: one id is for one device; leave it out")
    content = _content(payload, {"alert": alert})
    from pushtasks import send_apns, send_apns_many  # noqa: PLC0415
    from pushtasks.adapters.cli.sending import calls  # noqa: PLC0415

    names = ("app", "topic", "push_type", "priority", "collapse_id", "apns_id", "environment")
    todo = calls(
        send_apns,
        send_apns_many,
        "tokens",
        devices,
        payload=alert if content is None else content,
        expiration=read_expiration(options["expiration"]),
        **{name: options[name] for name in names},
    )
    _send(todo, options)


@command.command()
@click.argument("registration_id", nargs=-1)
@payload_option
@click.option("--title", help="Instead of a payload: the notification's title.")
@click.option("--body", help="Instead of a payload: the notification's text.")
@click.option("--topic", metavar="NAME", help="To everyone who subscribes to it.")
@click.option("--condition", help="To everyone whom it holds for: \"'a' in topics\".")
@click.option("--dry-run", is_flag=True, help="Let Google check it and not deliver it.")
@sending_options
def gcm(
    *,
    registration_id: tuple[str, ...],
    payload: str | None,
    title: str | None,
    body: str | None,
    **options: Any,
) -> None:
    """Send to devices, topics or conditions at Google (FCM).

    \b
    Example:
      pushtasks send gcm REGISTRATION_ID --title Hello --body "How are you?"
      pushtasks send gcm --topic news --payload message.json --dry-run
    """  # noqa: D301
    named = [{name: options[name]} for name in ("topic", "condition") if options[name]]
    devices = _devices(registration_id, options["tokens"], payload, named)
    notification = {"title": title, "body": body}
    content = _content(payload, notification)
    if content is None:
        content = {"notification": {key: text for key, text in notification.items() if text}}
    from pushtasks import send_gcm, send_gcm_many  # noqa: PLC0415
    from pushtasks.adapters.cli.sending import calls  # noqa: PLC0415

    todo = calls(
        send_gcm,
        send_gcm_many,
        "registration_ids",
        devices,
        payload=content,
        app=options["app"],
        dry_run=options["dry_run"],
    )
    _send(todo, options)


def _devices(
    given: tuple[str, ...], file: str | None, payload: str | None, named: list[Any] | None = None
) -> list[Any]:
    if file == payload == "-":
        raise click.UsageError("--tokens and --payload cannot both be read from standard input")
    devices = [*given, *(read_lines(file) if file else ()), *(named or ())]
    if not devices:
        raise click.UsageError("nobody to send to: name devices, or a file with --tokens")
    return devices


def _content(payload: str | None, instead: Mapping[str, str | None]) -> Any:
    """Return the payload, or None if options were given that stand for one."""
    options = " or ".join(f"--{name}" for name in instead)
    if payload is not None and any(instead.values()):
        raise click.UsageError(f"--payload says it all: leave out {options}")
    if payload is None and not any(instead.values()):
        raise click.UsageError(f"nothing to send: give --payload, or {options}")
    return None if payload is None else read_payload(payload)


def _send(todo: list[Any], options: Mapping[str, Any]) -> None:
    with err().status("Sending"):
        settled = _settled(todo, options)
    if options["no_wait"] and not options["direct"]:
        _print_ids([one.task_id for one in settled], as_json=options["as_json"])
        return
    _print_settled(settled, options)
    if not all(one.is_accepted for one in settled):
        raise SystemExit(1)


def _settled(todo: list[Any], options: Mapping[str, Any]) -> list[Any]:
    """Send, and return what is known."""
    from pushtasks.adapters.cli import sending  # noqa: PLC0415
    from pushtasks.host import current_app  # noqa: PLC0415

    if options["direct"]:
        return list(sending.perform(todo))
    app = current_app()
    sent = sending.hand_over(app, todo, with_results=not options["no_wait"])
    if not options["no_wait"]:
        return list(sending.wait(app, todo, sent, options["timeout"]))
    return [sending.unawaited(promise) for promise in sent]


def _print_ids(task_ids: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"tasks": [{"id": task_id} for task_id in task_ids]})
    else:
        click.echo("\n".join(task_ids))


def _print_settled(settled: list[Any], options: Mapping[str, Any]) -> None:
    if options["as_json"]:
        print_json({"tasks": [one.to_dict() for one in settled]})
        return
    results = [one.result for one in settled if one.result is not None]
    summaries = [result for result in results if "failures" in result]
    rows = [result for result in results if "failures" not in result]
    rows += [row for summary in summaries for row in _worth_a_row(summary)]
    if rows:
        out().print(result_table(rows))
    if summaries:
        names = ("accepted", "rejected", "not_sent", "maybe_sent")
        counts = {name: sum(summary[name] for summary in summaries) for name in names}
        shown = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
        click.echo(", ".join(shown))
    for one in settled:
        if one.error is not None:
            warn(str(one.error))
        elif one.result is None:
            warn(f"no result of task {one.task_id} within {options['timeout']:g} s ({one.state})")


def _worth_a_row(summary: Mapping[str, Any]) -> list[Any]:
    """Return the devices that went wrong, and those to be called otherwise from now on."""
    failed = {row["token"] for row in summary["failures"]}
    renamed = [row for row in summary["replacements"] if row["token"] not in failed]
    return [*summary["failures"], *renamed]
