"""`pushtasks serve`: pushes by HTTP, and a page that shows what becomes of them."""

import click

from pushtasks.adapters.cli.stopping import ends_well


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=5601, show_default=True)
@click.option(
    "--gcm-app", default="default", show_default=True, help="The app that /gcm/send sends for."
)
def command(*, host: str, port: int, gcm_app: str) -> None:
    """Take pushes by HTTP until Ctrl-C.

    \b
    Example:
      pushtasks serve
      curl -d tokens=TOKEN -d 'payload={"hello": "world"}' localhost:5601/gcm/send
    """  # noqa: D301
    from waitress import create_server  # noqa: PLC0415

    from pushtasks.adapters.http import Options, create_app  # noqa: PLC0415

    server = create_server(create_app(options=Options(gcm_app=gcm_app)), host=host, port=port)
    click.echo(f"http://{host}:{server.effective_port}")
    with ends_well():
        server.run()
