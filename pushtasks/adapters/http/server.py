"""Runs an application under waitress until it is interrupted, and then to the end of its requests.

waitress reads a body before it calls the application, the long ones into a file. So it is here, by
its headers, that an upload without a key is refused.
"""

import errno
import json
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer
from waitress.utilities import Error
from werkzeug.datastructures import Authorization

from pushtasks.adapters.http.access import presented_key
from pushtasks.adapters.http.problems import API_PREFIX, PROBLEM_JSON, problem_of
from pushtasks.adapters.http.state import Service

#: Connections that wait to be accepted, and those that are open at the most.
BACKLOG: Final = 1024
CONNECTIONS: Final = 1000
#: Seconds after which an idle connection is closed.
IDLE: Final = 120
#: Seconds that requests have to end when the server does.
GRACE: Final = 10.0
_LOOK: Final = 0.1
_CLOSED: Final = 0o600


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Yield sockets that listen on all addresses of a host.

    Raises:
        OSError: They cannot, for instance since the port is taken.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((one[0], one[4][0]) for one in found):
            taken = sockets[0].getsockname()[1] if sockets else port
            with _absence_forgiven(is_last_hope=not sockets):
                sockets.append(
                    socket.create_server((address, taken), family=family, backlog=BACKLOG)
                )
        yield sockets
    finally:
        for one in sockets:
            one.close()


@contextmanager
def _absence_forgiven(*, is_last_hope: bool) -> Iterator[None]:
    """Let a machine without IPv6 call itself localhost."""
    try:
        yield
    except OSError as error:
        if is_last_hope or error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
            raise


@contextmanager
def listening_at(path: Path, mode: int = _CLOSED) -> Iterator[list[socket.socket]]:
    """Yield a socket that listens at a path, which is gone afterwards.

    Args:
        path: One that was left behind by a server that is gone is replaced.
        mode: Who may connect, as of a file.

    Raises:
        OSError: It cannot; something else is there, or a server that answers.
    """
    _clear(path)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
        try:
            path.chmod(mode)  # nobody can connect before it listens
            one.listen(BACKLOG)
            yield [one]
        finally:
            path.unlink(missing_ok=True)


def run(
    application: Callable[..., Any], sockets: list[socket.socket], *, service: Service, threads: int
) -> None:
    """Serve until `KeyboardInterrupt`; then let requests end that have begun.

    Args:
        application: Of WSGI.
        sockets: They listen.
        service: Of that application; it is told when it is interrupted.
        threads: Requests that are served at a time.
    """
    connections: dict[int, Any] = {}
    server = create_server(
        application,
        map=connections,
        sockets=sockets,
        threads=threads,
        connection_limit=CONNECTIONS,
        channel_timeout=IDLE,
        max_request_body_size=service.options.body_limit + 1,
        clear_untrusted_proxy_headers=True,
        ident=None,
    )
    listeners = [one for one in connections.values() if isinstance(one, BaseWSGIServer)]
    for listener in listeners:
        listener.channel_class = _channel_class(service)
    try:
        wasyncore.loop(timeout=1.0, use_poll=True, map=connections)
    except KeyboardInterrupt:
        service.stop()
        _let_end(connections, listeners)
    finally:
        server.task_dispatcher.shutdown(timeout=1)
        wasyncore.close_all(connections)


class Refusal(Error):  # type: ignore[misc]
    """What waitress itself answers, before any application is asked, as a problem."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.body)
        self.code, self.reason = error.code, error.reason

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:  # noqa: ARG002
        """Return status, headers and body."""
        problem = problem_of(HTTPStatus(self.code), f"refused before it was read: {self.body}")
        headers = [("Content-Type", PROBLEM_JSON)]
        return f"{self.code} {self.reason}", headers, json.dumps(problem).encode()


def _channel_class(service: Service) -> type[HTTPChannel]:
    """Return channels that take long bodies from those only who may send them."""
    keys, limit = service.options.api_keys, service.options.upload_limit + 1

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        adj: Any
        error: Any = None
        path = ""

        def received(self, data: bytes) -> int:
            taken: int = super().received(data)
            if self.error is not None and self.path.startswith(f"{API_PREFIX}/"):
                self.error = Refusal(self.error)
            return taken

        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            if not keys or keys.name_of(key_in(self.headers)) is not None:
                generous = copy(self.adj)
                generous.max_request_body_size = limit
                self.adj = generous

    class Channel(HTTPChannel):  # type: ignore[misc]
        parser_class = Parser

    return Channel


def key_in(headers: Mapping[str, str]) -> str:
    """Return the key among headers as waitress has them; or ""."""
    authorization = headers.get("AUTHORIZATION")
    return presented_key(Authorization.from_header(authorization), headers.get("X_API_KEY"))


def _let_end(connections: dict[int, Any], listeners: list[BaseWSGIServer]) -> None:
    for listener in listeners:
        listener.del_channel(connections)
        listener.socket.close()
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(map(_is_busy, connections.values())):
        wasyncore.loop(timeout=_LOOK, use_poll=True, map=connections, count=1)


def _is_busy(one: Any) -> bool:
    return isinstance(one, HTTPChannel) and bool(one.requests or one.total_outbufs_len)


def _clear(path: Path) -> None:
    """Take away a socket that nobody listens at."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(f"{path} is there, and no socket")
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(1.0)
            try:
                one.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
        raise FileExistsError(f"another server listens at {path}")
