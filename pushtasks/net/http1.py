"""Posts to one URL over HTTP/1.1 connections that are kept alive; each exchange ends in time.

For servers that do not speak HTTP/2; all else goes through the multiplexer. The timeouts of
`requests` are for each single read, so a server that drips bytes could hold a thread for ever;
here a response has as many seconds as a whole.
"""

import io
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from pushtasks.net.deadline import Deadline
from pushtasks.net.http import Answer, Response, Unanswered, read_retry_after

#: Idle connections that are kept, one for each thread of a worker.
POOL_SIZE: Final = 64
#: Seconds.
CONNECT_TIMEOUT: Final = 5.0
#: Bytes; a longer body is cut there. A thousand results with canonical ids are shorter.
BODY_LIMIT: Final = 8 * 1024 * 1024
#: Links of a chain of exceptions that are looked at.
CHAIN: Final = 10

#: A vanished server is noticed by the kernel, and a NAT reminded that the connection lives.
SOCKET_OPTIONS: Final = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (
            ("TCP_KEEPIDLE", 30),
            ("TCP_KEEPINTVL", 10),
            ("TCP_USER_TIMEOUT", 10_000),
        )
        if hasattr(socket, name)
    ),
]
#: A ValueError is what http.client makes of a chunk with a negative size.
FAILURES: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)
#: What to call a failure that has one of these in its chain; the first that fits.
REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ssl.SSLCertVerificationError, "the server's certificate is not trusted"),
    (urllib3.exceptions.ProxyError, "through the proxy: no connection"),
    (urllib3.exceptions.NameResolutionError, "no such host"),
    (requests.Timeout, "no answer in time"),
    (TimeoutError, "no answer in time"),
)


class Http1Session:
    """One URL, for one process and any number of threads."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        ca_file: str | None,
        proxy: str | None,
        timeout: float,
    ) -> None:
        """Open nothing yet.

        Args:
            url: Where to post, `http://` or `https://`.
            headers: Of every request.
            ca_file: Authorities to trust, PEM; None: certifi's.
            proxy: `http://user:password@host:port` or `socks5h://…`; the environment's is unused.
            timeout: Seconds to connect (at most 5), and again for the whole response.
        """
        self._url = url
        self._timeout = min(CONNECT_TIMEOUT, timeout), timeout
        self._session = _Session()
        self._session.trust_env = False  # no proxy, no .netrc in place of our authorization
        self._session.headers.update(headers)
        self._session.verify = ca_file or True
        self._session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_connections=1, pool_maxsize=POOL_SIZE))

    def post(self, body: bytes) -> Answer:
        """Send a body and wait for the answer, whatever it is; redirects are not followed."""
        sent = _Body(body)
        try:
            with self._session.post(
                self._url, data=sent, timeout=self._timeout, stream=True
            ) as response:
                return _read(response)
        except FAILURES as error:
            return Unanswered(sent.has_left, _explain(error, has_left=sent.has_left))

    def close(self) -> None:
        """Close the connections that are idle; the others close with their exchange."""
        self._session.close()


class _Session(requests.Session):
    """Takes a redirect for an answer; `allow_redirects=False` alone would read all of its body."""

    def get_redirect_target(self, _resp: requests.Response) -> None:
        return None


def _read(response: requests.Response) -> Response:
    body = b""
    try:
        body = response.raw.read(BODY_LIMIT, decode_content=True)
    except FAILURES:
        if response.ok:
            raise
        # else the status says all there is to say
    wait = read_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
    return Response(response.status_code, body, retry_after=wait)


class _Body(io.BytesIO):
    """A request's body, which knows whether anybody has begun to send it.

    A server does nothing before it has the body, and nobody reads it before there is a connection.
    """

    has_left = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.has_left = True
        return super().read(size)


# A time limit for whole responses -----------------------------------------------------------------


class _TimedReader(io.RawIOBase):
    """Reads from a socket, each time with the seconds that are left of a budget."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        # It keeps the descriptor open if http.client closes the socket before the body is read.
        self._raw = connection.makefile("rb", buffering=0)
        self._deadline = Deadline(seconds)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._connection.settimeout(self._deadline.require("response"))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """A response that has the socket's timeout as a whole, from its first byte to its last."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock, sock.gettimeout() or 0.0))


@cache
def _timed(connection_class: type[Any]) -> type[Any]:
    """Return a class of connections, plain, TLS or SOCKS, whose responses have a time limit."""
    return type(connection_class.__name__, (connection_class,), {"response_class": _TimedResponse})


class _Adapter(HTTPAdapter):
    """Makes connections that are watched by the kernel, and whose responses have a time limit."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, socket_options=SOCKET_OPTIONS)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, socket_options=SOCKET_OPTIONS)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if not issubclass(pool.ConnectionCls.response_class, _TimedResponse):
            pool.ConnectionCls = _timed(pool.ConnectionCls)
        return pool


# Failures -----------------------------------------------------------------------------------------


def _explain(error: BaseException, *, has_left: bool) -> str:
    """Say in one line what went wrong; no address of a proxy, which may hold a password."""
    links = list(_chain(error))
    words = (said for kind, said in REASONS if any(isinstance(link, kind) for link in links))
    reason = next(words, "the connection was lost" if has_left else "no connection")
    root = links[-1]
    detail = root.strerror if isinstance(root, OSError) else None
    return f"{reason} ({detail or type(root).__name__})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(CHAIN):
        if link is None:
            return
        yield link
        inner = [arg for arg in (getattr(link, "reason", None), *link.args) if _is_error(arg)]
        link = link.__cause__ or link.__context__ or next(iter(inner), None)


def _is_error(value: object) -> bool:
    return isinstance(value, BaseException)
