"""`pushtasks up`: a broker, pretend providers and a worker, until Ctrl-C."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pushtasks.adapters.cli.extras import EMBEDDED, need
from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import err, print_json
from pushtasks.adapters.cli.stopping import ends_well

if TYPE_CHECKING:
    from pushtasks.adapters.cli.embedded import Embedded

#: A device token and a registration id to begin with; every other does as well.
DEVICE = "0123456789abcdef"


@click.command
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where keys, data and logs are kept.  [default: a temporary folder]",
)
@click.option("--pool", help="The worker's pool: threads, prefork, gevent or solo.")
@click.option("--concurrency", type=click.IntRange(1), help="Tasks that the worker runs at a time.")
@as_json
def command(
    *, directory: Path | None, pool: str | None, concurrency: int | None, as_json: bool
) -> None:
    """Run Valkey, a pretend Apple and Google, and a Celery worker until Ctrl-C.

    Nothing else is needed, and nothing is left behind: everything ends with this command.

    \b
    Example:
      pushtasks up --pool prefork --concurrency 2
    """  # noqa: D301
    need(EMBEDDED)
    from pushtasks.adapters.cli.embedded import embedded  # noqa: PLC0415
    from pushtasks.adapters.cli.processes import WorkerOptions  # noqa: PLC0415

    with ends_well(), err().status("Starting") as status:
        options = WorkerOptions(pool, concurrency)
        with embedded(status.update, options, directory) as running:
            status.stop()
            _announce(running, as_json=as_json)
            running.wait()


def _announce(running: "Embedded", *, as_json: bool) -> None:
    if as_json:
        urls = running.endpoints.to_dict()
        print_json({"environment": running.environment, "dir": str(running.folder), **urls})
        return
    lines = [
        "Valkey, a pretend Apple and Google, and a Celery worker are running.",
        "",
        "In another terminal:",
        *(f"  export {name}={value}" for name, value in running.environment.items()),
        f"  pushtasks send apns {DEVICE} --alert Hello",
        f"  pushtasks send gcm {DEVICE} --title Hello",
        "",
        "Answers as you like, for a device from now on:",
        f"  curl -X PUT {running.endpoints.control}/tokens/{DEVICE} \\",
        """    -d '{"reason": "Unregistered"}'""",
        "",
        f"The worker's log:  {running.worker.log}",
        "Ctrl-C stops everything.",
    ]
    click.echo("\n".join(lines))
