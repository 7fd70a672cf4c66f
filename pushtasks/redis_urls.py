"""Pure: one Redis, in the forms that kombu, Celery's result backends and redis-py read.

They differ for Unix sockets (`redis+socket:///path?virtual_host=0` against `unix:///path?db=0`),
for Sentinel (a URL for each sentinel, parted by `;`) and in what `rediss` must say of certificates.
"""

import re
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

RESULTS_DATABASE: Final = 1

_TCP: Final = frozenset({"redis", "rediss"})
_SOCKETS: Final = frozenset({"redis+socket", "socket"})
_SENTINEL: Final = "sentinel"
_CERTIFICATES: Final = "ssl_cert_reqs"
_RABBITMQ: Final = frozenset({"amqp", "amqps", "pyamqp"})


def result_backend_beside(broker_url: str) -> str:
    """Return the result backend that goes with a broker when none is set.

    Args:
        broker_url: As in Celery's `broker_url`; several brokers are parted by `;`.

    Returns:
        Database 1 of the same Redis (of the same Sentinel's Redis), else `rpc://`.
    """
    scheme = _scheme(broker_url)
    if scheme == _SENTINEL:
        return ";".join(_with_database(url) for url in broker_url.split(";") if url)
    first = broker_url.partition(";")[0]
    if scheme in _TCP:
        return _with_database(first)
    if scheme in _SOCKETS:
        return _with_query(first, virtual_host=str(RESULTS_DATABASE))
    return "rpc://"


def fault_of(url: str) -> str | None:
    """Return why nobody can read a broker or result backend at Redis or RabbitMQ; None: it is well.

    Python's own words repeat what it took for the port, which may be a piece of the password.

    Args:
        url: Several are parted by `;`.
    """
    for one in url.split(";"):
        if _scheme(one) in _TCP | _RABBITMQ:
            try:
                _ = urlsplit(one).port
            except ValueError:
                return (
                    "is no URL whose port is a number up to 65535; in a password write / as %2F,"
                    " # as %23, ? as %3F, ; as %3B, [ as %5B and ] as %5D"
                )
    return None


def client_url(url: str | None) -> str | None:
    """Return the URL by which `redis.Redis.from_url` reaches the same database.

    Args:
        url: A broker or result backend; None where none is set.

    Returns:
        None if it is no Redis, or one behind Sentinel, which no such URL can name.
    """
    first = (url or "").partition(";")[0]
    if _scheme(first) in _TCP:
        return _without_certificate_prefix(first)
    if _scheme(first) in _SOCKETS:
        parts = urlsplit(first)
        database = dict(parse_qsl(parts.query)).get("virtual_host", "0").strip("/")
        return f"unix://{parts.netloc}{parts.path}?{urlencode({'db': database})}"
    return None


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower() if "://" in url else ""


def _with_database(url: str) -> str:
    if "://" not in url:
        url = f"{_SENTINEL}://{url}"
    url = urlunsplit(urlsplit(url)._replace(path=f"/{RESULTS_DATABASE}"))
    if _scheme(url) == "rediss" and _CERTIFICATES not in url:
        # Celery's result backend, unlike the broker, refuses to guess it.
        return _with_query(url, ssl_cert_reqs="CERT_REQUIRED")
    return url


def _with_query(url: str, **values: str) -> str:
    parts = urlsplit(url)
    query = urlencode({**dict(parse_qsl(parts.query)), **values})
    # Not urlunsplit, which drops the empty host of redis+socket:///path.
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}"


def _without_certificate_prefix(url: str) -> str:
    def lowered(match: re.Match[str]) -> str:
        return f"{_CERTIFICATES}={match[1].lower()}"

    return re.sub(rf"{_CERTIFICATES}=CERT_(\w+)", lowered, url)
