"""`pushtasks serve`: pushes by HTTP, and a page that shows what becomes of them."""

import ipaddress
import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pushtasks.adapters.cli.lazy import WrongUse
from pushtasks.adapters.cli.options import as_json
from pushtasks.adapters.cli.output import print_json, warn
from pushtasks.adapters.cli.stopping import ends_well

if TYPE_CHECKING:
    from pushtasks.adapters.http import Options
    from pushtasks.config import Settings

MODULES: Final = ("flask", "waitress", "prometheus_client")
#: Names by which a browser on this machine calls what listens on loopback.
LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=5601, show_default=True)
@click.option(
    "--unix-socket", type=click.Path(path_type=Path), help="Listen at this path, on no port."
)
@click.option(
    "--unix-socket-mode",
    default="600",
    show_default=True,
    help="Who may connect there, as of a file.",
)
@click.option("--gcm-app", help="The app that /gcm/send sends for.  [default: default]")
@click.option("--keys", metavar="FILE", help="Hashes of the API keys to accept, one a line.")
@click.option("--new-key", is_flag=True, help="Make an API key, print it and its hash, and end.")
@click.option(
    "--allowed-host", multiple=True, help="A name to be called by, beside those of loopback."
)
@click.option(
    "--rate",
    type=click.FloatRange(0),
    help="Requests a second of one caller, and as many at once.  [default: no limit]",
)
@click.option("--threads", type=click.IntRange(1, 256), default=8, show_default=True)
@as_json
def command(
    *,
    host: str,
    port: int,
    unix_socket: Path | None,
    unix_socket_mode: str,
    gcm_app: str | None,
    keys: str | None,
    new_key: bool,
    allowed_host: tuple[str, ...],
    rate: float | None,
    threads: int,
    as_json: bool,
) -> None:
    """Take pushes by HTTP until Ctrl-C, and show a page of what becomes of them.

    Others than this machine's users need an API key, and so it does not listen for them without.
    Set PUSHTASKS_SERVE_KEYS to the hashes, or give a file of them.

    \b
    Example:
      pushtasks serve
      curl -d tokens=TOKEN -d 'payload={"hello": "world"}' localhost:5601/gcm/send
    \b
    For other machines:
      pushtasks serve --new-key
      PUSHTASKS_SERVE_KEYS=sha256:... pushtasks serve --host 0.0.0.0
    """  # noqa: D301
    need_extra()
    if new_key:
        _print_key(as_json=as_json)
        return
    chosen = {"gcm_app": gcm_app, "rate": rate}
    options = _options({name: it for name, it in chosen.items() if it is not None}, keys)
    place = Place(host, port, unix_socket, _mode(unix_socket_mode))
    _serve(place, _secured(options, place, allowed_host), threads, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen."""

    host: str
    port: int
    unix_socket: Path | None
    mode: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is for this machine alone, by TCP."""
        return self.unix_socket is None and is_loopback(self.host)

    def listening(self) -> AbstractContextManager[list[socket.socket]]:
        """Return sockets that listen, for the time of a `with` block."""
        from pushtasks.adapters.http import server  # noqa: PLC0415

        if self.unix_socket is None:
            return server.listening(self.host, self.port)
        return server.listening_at(self.unix_socket, self.mode)

    def url_of(self, listening: socket.socket) -> str:
        """Return the address of a socket that listens here."""
        if self.unix_socket is not None:
            return f"unix:{self.unix_socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{listening.getsockname()[1]}"


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host's addresses."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:  # to listen there will fail, too
        return False
    return all(ipaddress.ip_address(str(one[4][0])).is_loopback for one in found)


def need_extra() -> None:
    """Refuse to go on without the extra `serve`.

    Raises:
        click.ClickException: A module is missing.
    """
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"{' and '.join(missing)} missing: install what this command needs with"
            "  pip install 'pushtasks[serve]'"
        )


def _print_key(*, as_json: bool) -> None:
    from pushtasks.adapters.http.keys import new_key  # noqa: PLC0415

    key, digest = new_key()
    if as_json:
        print_json({"key": key, "hash": digest})
        return
    click.echo(f"key, for the caller, shown this once:  {key}")
    click.echo(f"hash, for PUSHTASKS_SERVE_KEYS or a line of --keys FILE:  {digest}")


def _options(chosen: Mapping[str, Any], keys: str | None) -> "Options":
    from pushtasks.adapters.http.settings import KEYS, options_from, read_keys  # noqa: PLC0415

    options = replace(options_from(os.environ), **chosen)
    if keys is not None:
        options = replace(options, api_keys=read_keys(keys, os.environ.get(KEYS, "")))
    return options


def _secured(options: "Options", place: Place, allowed_hosts: tuple[str, ...]) -> "Options":
    """Add the names by which it may be called.

    Raises:
        WrongUse: Others can reach it, and need no key.
    """
    if place.unix_socket is None and not place.is_loopback and not options.api_keys:
        raise WrongUse(
            f"--host {place.host}: others can reach that, so it needs API keys: make one with"
            "  pushtasks serve --new-key  and set PUSHTASKS_SERVE_KEYS to its hash"
        )
    hosts = (*options.hosts, *(name.lower() for name in allowed_hosts))
    own = (*LOOPBACK, place.host.lower()) if place.is_loopback else ()
    return replace(options, hosts=tuple(dict.fromkeys((*own, *hosts))))


def _serve(place: Place, options: "Options", threads: int, *, as_json: bool) -> None:
    from pushtasks.adapters.http import create_app  # noqa: PLC0415
    from pushtasks.adapters.http.publishing import bound_waiting  # noqa: PLC0415
    from pushtasks.adapters.http.server import run  # noqa: PLC0415
    from pushtasks.adapters.http.state import EXTENSION  # noqa: PLC0415
    from pushtasks.config import current_settings  # noqa: PLC0415
    from pushtasks.host import current_app  # noqa: PLC0415

    _log()
    celery_app = current_app()
    bound_waiting(celery_app)
    _see_settings(current_settings(celery_app), options.gcm_app)
    application = create_app(celery_app, options)
    service = application.extensions[EXTENSION]
    with ends_well(), _bound(place) as sockets:
        _announce(place.url_of(sockets[0]), as_json=as_json)
        service.collector.start()
        run(application, sockets, service=service, threads=threads)


@contextmanager
def _bound(place: Place) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        try:
            sockets = stack.enter_context(place.listening())
        except OSError as error:
            where = place.unix_socket or f"{place.host}:{place.port}"
            reason = error.strerror or str(error)
            raise click.ClickException(
                f"cannot listen at {where} ({reason}); choose another with --port, --host or"
                " --unix-socket"
            ) from None
        yield sockets


def _see_settings(settings: "Settings", gcm_app: str) -> None:
    if settings.configured and gcm_app not in settings.gcm:
        known = ", ".join(sorted(settings.gcm)) or "none"
        warn(f"gcm app {gcm_app!r} is not in the settings (there are {known}): /gcm/send refuses")


def _log() -> None:
    """Have warnings written to standard error; of waitress not each request that has to wait."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def _announce(url: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"url": url, "pid": os.getpid()})
    else:
        click.echo(f"{url}\nCtrl-C stops it.")


def _mode(text: str) -> int:
    if not re.fullmatch("[0-7]{3}", text):
        raise click.BadParameter(
            f"{text!r} is no mode of a file; give three octal digits, as 660",
            param_hint="--unix-socket-mode",
        )
    return int(text, 8)
