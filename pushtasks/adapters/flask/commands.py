"""`flask push …`: pushtasks' own commands, on the Celery app of the Flask app."""

from collections.abc import Callable
from typing import Final

import click
from flask import current_app

from pushtasks.adapters.cli import COMMANDS
from pushtasks.adapters.cli import __name__ as cli_package
from pushtasks.adapters.cli.lazy import LazyGroup

#: Those of `pushtasks` that look at a Celery app.
SHARED: Final = ("send", "fanout", "report", "feedback", "check")
DELIVER: Final = "Call the functions that want to hear of devices."
#: Entries that are read at a time, and seconds to wait for the first.
PAGE: Final = 100
WAIT: Final = 2.0


def group(name: str) -> click.Group:
    """Return the group of commands."""
    return PushGroup(
        name,
        package=cli_package,
        summaries={**{one: COMMANDS[one] for one in SHARED}, "deliver": DELIVER},
        help="Send pushes, and see what became of them.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


class PushGroup(LazyGroup):
    """The commands of `pushtasks` that make sense here, and one of our own."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        return deliver if cmd_name == "deliver" else super().get_command(ctx, cmd_name)


@click.command
@click.option("--group", "reader", metavar="NAME", help="Of readers; default: flask.APP.")
@click.option("--follow", is_flag=True, help="Wait for more, until Ctrl-C.")
def deliver(*, reader: str | None, follow: bool) -> None:
    """Call the functions that want to hear of devices, with all news since the last time.

    For a Flask app whose workers do not have it, as `celery -A pushtasks worker`; where they have
    it, they call the functions themselves. Each entry comes once to the readers of a name, and
    comes again after a minute if a function has raised.

    \b
    Example:
      flask push deliver
      flask push deliver --follow
    """  # noqa: D301
    from pushtasks.adapters.cli.stopping import ends_well  # noqa: PLC0415

    reader = reader or f"flask.{current_app.name}"
    with ends_well():
        delivered, failed = _deliver(reader, follows=follow, tell=click.echo)
        click.echo(f"{delivered} delivered, {failed} failed")
        if failed:
            raise SystemExit(1)


def _deliver(reader: str, *, follows: bool, tell: Callable[[str], None]) -> tuple[int, int]:
    """Deliver what there is; return how many entries were taken, and how many were not."""
    from pushtasks import feedback  # noqa: PLC0415, Celery and libcurl come with it
    from pushtasks.adapters.flask.feedback import deliver as hand_over  # noqa: PLC0415
    from pushtasks.masking import mask  # noqa: PLC0415

    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    delivered = failed = 0
    while True:
        batch = feedback.read(reader, count=PAGE, wait=WAIT if follows else 0.0)
        for entry in batch:
            try:
                hand_over(app, entry)
            except Exception as error:  # noqa: BLE001, it is anybody's code
                failed += 1
                tell(f"{entry.kind} {mask(entry.token)}: {type(error).__name__}: {error}")
            else:
                batch.ack(entry)
                delivered += 1
        if not batch and not follows:
            return delivered, failed
