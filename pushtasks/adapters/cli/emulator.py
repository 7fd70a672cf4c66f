"""`pushtasks emulator`: the pretend providers, in the foreground."""

import threading
from pathlib import Path

import click

from pushtasks.adapters.cli.extras import EMULATOR, need
from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import print_json
from pushtasks.adapters.cli.stopping import ends_well

_port = click.IntRange(0, 65535)


@click.command
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where keys, certificates, pushtasks.toml and endpoints.json are written.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--apns-port", type=_port, default=0, help="Port of APNs.  [default: any free]")
@click.option("--gateway-port", type=_port, default=0, help="Of APNs' gateway.  [default: any]")
@click.option("--feedback-port", type=_port, default=0, help="Of its feedback.  [default: any]")
@click.option("--fcm-port", type=_port, default=0, help="Of FCM and GCM.  [default: any free]")
@click.option("--control-port", type=_port, default=0, help="Of the control API.  [default: any]")
@as_json
def command(
    *,
    directory: Path,
    host: str,
    apns_port: int,
    gateway_port: int,
    feedback_port: int,
    fcm_port: int,
    control_port: int,
    as_json: bool,
) -> None:
    """Run a pretend Apple and Google until Ctrl-C.

    They check what the real ones check. The control API scripts what goes wrong, and tells what
    has arrived.

    \b
    Example:
      pushtasks emulator --dir providers
    \b
    Then, in another terminal, a worker and a push that go to it:
      export PUSHTASKS_CONFIG=providers/pushtasks.toml
      celery -A pushtasks worker
      pushtasks send apns 0123456789abcdef --alert Hello
    \b
    And a device that is answered as you like:
      curl -X PUT CONTROL/tokens/0123456789abcdef -d '{"reason": "Unregistered"}'
    """  # noqa: D301
    need(EMULATOR)
    from pushtasks.emulator import Emulator, EmulatorError  # noqa: PLC0415

    emulator = Emulator(
        directory.absolute(),
        host=host,
        apns_port=apns_port,
        gateway_port=gateway_port,
        feedback_port=feedback_port,
        fcm_port=fcm_port,
        control_port=control_port,
    )
    try:
        with ends_well(), emulator:
            _announce(emulator.directory, emulator.endpoints.to_dict(), as_json=as_json)
            threading.Event().wait()
    except EmulatorError as error:
        raise click.ClickException(str(error)) from None


def _announce(directory: Path, endpoints: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json({**endpoints, "dir": str(directory)})
        return
    for service, url in endpoints.items():
        click.echo(f"{service:<8} {url}")
    click.echo(f"\nFor a worker:  export PUSHTASKS_CONFIG={directory / 'pushtasks.toml'}")
    click.echo("Ctrl-C stops it.")
