"""`pushtasks channels`: Apple's broadcast channels, asked from this process."""

from typing import TYPE_CHECKING, Any

import click

from pushtasks.adapters.cli.options import (
    app_option,
    as_json,
    environment_option,
    expiration_option,
    payload_option,
    read_expiration,
    read_payload,
)
from pushtasks.adapters.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushtasks.apns.channels import Channels


@click.group("channels")
def command() -> None:
    """Manage Apple's broadcast channels, and broadcast to them.

    A broadcast updates the Live Activities of everyone who follows a channel, with one request.
    These commands ask Apple themselves: they need the app's key, but no broker and no worker.

    \b
    Example:
      pushtasks channels create
      pushtasks channels broadcast CHANNEL_ID --payload update.json
    """  # noqa: D301


def channel_options(function: "Callable[..., None]") -> "Callable[..., None]":
    """Add the options that say whose channels are meant."""
    for option in (
        as_json,
        environment_option,
        click.option("--bundle-id", help="Of another app of the team, instead of the app's own."),
        app_option,
    ):
        function = option(function)
    return function


@command.command()
@click.option(
    "--storage",
    type=click.Choice(["newest", "none"]),
    default="newest",
    show_default=True,
    help="What is kept for devices that are away.",
)
@channel_options
def create(*, storage: str, as_json: bool, **whose: Any) -> None:
    """Make a channel and print its id.

    \b
    Example:
      pushtasks channels create --storage none
    """  # noqa: D301
    channel_id = _channels(**whose).create(storage)
    print_json({"id": channel_id}) if as_json else click.echo(channel_id)


@command.command()
@click.argument("channel_id")
@channel_options
def read(*, channel_id: str, as_json: bool, **whose: Any) -> None:
    """Show what a channel is like.

    \b
    Example:
      pushtasks channels read CHANNEL_ID
    """  # noqa: D301
    channel = _channels(**whose).read(channel_id)
    if as_json:
        print_json(channel)
        return
    for name, value in channel.items():
        click.echo(f"{name}: {value}")


@command.command()
@click.argument("channel_id")
@channel_options
def delete(*, channel_id: str, as_json: bool, **whose: Any) -> None:
    """End a channel; devices hear nothing of it.

    \b
    Example:
      pushtasks channels delete CHANNEL_ID
    """  # noqa: D301
    _channels(**whose).delete(channel_id)
    print_json({"deleted": channel_id}) if as_json else click.echo(f"deleted {channel_id}")


@command.command("list")
@channel_options
def list_(*, as_json: bool, **whose: Any) -> None:
    """Print the ids of all channels, one a line.

    \b
    Example:
      pushtasks channels list
    """  # noqa: D301
    channel_ids = _channels(**whose).list()
    if as_json:
        print_json({"channels": channel_ids})
    elif channel_ids:
        click.echo("\n".join(channel_ids))


@command.command()
@click.argument("channel_id")
@payload_option
@click.option("--priority", type=int, help="10 (the default), 5 or 1.")
@expiration_option
@click.option("--request-id", help="A UUID, which Apple's answer repeats.")
@channel_options
def broadcast(
    *,
    channel_id: str,
    payload: str | None,
    priority: int | None,
    expiration: str | None,
    request_id: str | None,
    as_json: bool,
    **whose: Any,
) -> None:
    """Send one payload to everyone who follows a channel.

    \b
    Example:
      pushtasks channels broadcast CHANNEL_ID --payload '{"aps": {"event": "update",
        "timestamp": 1767225600, "content-state": {"score": "2:1"}}}'
    """  # noqa: D301
    if payload is None:
        raise click.UsageError("nothing to send: give --payload")
    verdict = _channels(**whose).broadcast(
        channel_id,
        read_payload(payload),
        priority=priority,
        expiration=read_expiration(expiration),
        request_id=request_id,
    )
    outcome = "accepted" if verdict.reason is None else "rejected"
    if as_json:
        answer = {"status": verdict.status, "reason": verdict.reason}
        print_json({"outcome": outcome, **answer, "request_id": verdict.message_id})
    else:
        click.echo(" ".join(filter(None, (outcome, verdict.reason))))
    if verdict.reason is not None:
        raise SystemExit(1)


def _channels(*, app: str, bundle_id: str | None, environment: str | None) -> "Channels":
    from pushtasks.clients import apns_client  # noqa: PLC0415
    from pushtasks.host import current_app  # noqa: PLC0415

    return apns_client(current_app(), app, environment).channels(bundle_id)
