"""The commands of `pushtasks fanout` that watch and steer one that was started anywhere."""

import sys
from typing import TYPE_CHECKING, Final

import click

from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import out, print_json

if TYPE_CHECKING:
    from pushtasks.fanout import Fanout

COUNT: Final = 20


@click.command()
@click.argument("id_", metavar="ID")
@as_json
def status(*, id_: str, as_json: bool) -> None:
    """Show how a fan-out stands.

    On a terminal it is watched until it is over, or until Ctrl-C.

    \b
    Example:
      pushtasks fanout status 3f1c0a9be2d4
      pushtasks fanout status 3f1c0a9be2d4 --json
    """  # noqa: D301
    from pushtasks import fanout  # noqa: PLC0415
    from pushtasks.adapters.cli.fanout_run import show_totals, watch  # noqa: PLC0415
    from pushtasks.adapters.cli.fanout_view import standing  # noqa: PLC0415

    found = fanout.status(id_)
    if as_json:
        print_json(standing(found))
    elif found.is_over or not sys.stdout.isatty():
        show_totals(found, as_json=False)
    else:
        watch(id_, timeout=None, as_json=False, ends=False)


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds.")
@as_json
def wait(*, id_: str, timeout: float | None, as_json: bool) -> None:
    """Wait until a fan-out is over, and show its totals.

    \b
    Example:
      pushtasks fanout wait 3f1c0a9be2d4 --timeout 3600 --json
    """  # noqa: D301
    from pushtasks.adapters.cli.fanout_run import watch  # noqa: PLC0415

    watch(id_, timeout=timeout, as_json=as_json, ends=True)


@click.command()
@click.argument("id_", metavar="ID")
@as_json
def pause(*, id_: str, as_json: bool) -> None:
    """Hold a fan-out; `resume` lets it go on.

    \b
    Example:
      pushtasks fanout pause 3f1c0a9be2d4
    """  # noqa: D301
    from pushtasks import fanout  # noqa: PLC0415

    _show_moved(fanout.pause(id_), as_json=as_json)


@click.command()
@click.argument("id_", metavar="ID")
@as_json
def cancel(*, id_: str, as_json: bool) -> None:
    """End a fan-out for good.

    What is on its way to the provider still goes.

    \b
    Example:
      pushtasks fanout cancel 3f1c0a9be2d4
    """  # noqa: D301
    from pushtasks import fanout  # noqa: PLC0415

    _show_moved(fanout.cancel(id_), as_json=as_json)


def _show_moved(fanout: "Fanout", *, as_json: bool) -> None:
    from pushtasks.adapters.cli.fanout_view import totals  # noqa: PLC0415

    if as_json:
        print_json(totals(fanout))
    else:
        click.echo(
            f"fan-out {fanout.id} is {fanout.state}: {fanout.settled:,} of {fanout.devices:,}"
            " published devices are settled"
        )


@click.command("list")
@click.option("--count", type=click.IntRange(1), default=COUNT, show_default=True)
@as_json
def list_(*, count: int, as_json: bool) -> None:
    """Show fan-outs, the newest first.

    \b
    Example:
      pushtasks fanout list --count 5
    """  # noqa: D301
    from pushtasks import fanout  # noqa: PLC0415
    from pushtasks.adapters.cli.fanout_view import list_table, standing  # noqa: PLC0415

    found = fanout.recent(count)
    if as_json:
        print_json({"fanouts": [standing(one) for one in found]})
    elif found:
        out().print(list_table(found))
    else:
        click.echo("no fan-outs", err=True)


@click.command()
@click.argument("id_", metavar="ID")
@as_json
def failures(*, id_: str, as_json: bool) -> None:
    """Print each device that failed.

    One JSON object a line, with its line in the source and the reason; also each registration id
    that has a successor. Device tokens are in full, unless they would be
    shown on a terminal without --json.

    \b
    Example:
      pushtasks fanout failures 3f1c0a9be2d4 > failures.jsonl
    """  # noqa: D301
    from pushtasks import fanout  # noqa: PLC0415
    from pushtasks.adapters.cli.fanout_view import masked  # noqa: PLC0415
    from pushtasks.adapters.cli.stopping import ends_well  # noqa: PLC0415

    is_masked = sys.stdout.isatty() and not as_json
    with ends_well():
        for failure in fanout.failures(id_):
            print_json(masked(failure) if is_masked else failure)
