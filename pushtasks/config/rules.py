"""Pure: rules for single settings that a type cannot express.

Each takes the value and returns it. What it raises is read by `mistakes`: a ValueError says what
the value must be, a PydanticCustomError says all there is to say.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from pushtasks.wire.apns_binary import SIMPLE
from pushtasks.wire.apns_http2 import KEY_ID_LENGTH

CREDENTIAL: Final = "credential"
MISPLACED: Final = "misplaced"

#: Settings that mean something to one protocol only.
PROTOCOL_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("key", "key_id", "team_id", "broadcast_server", "channel_server"), "http2"
        ),
        **dict.fromkeys(("gateway", "feedback", "feedback_hostname", "pool_size"), "binary"),
        **dict.fromkeys(("assume_sent", "confirm", "command", "idle_age"), "binary"),
        **dict.fromkeys(("credentials", "project"), "v1"),
        **dict.fromkeys(("api_key", "form"), "legacy"),
    }
)
_RATE: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)/([smh])", re.ASCII)
_SECONDS: Final = MappingProxyType({"s": 1, "m": 60, "h": 3600})
#: Protocols without HTTP/2, and what only HTTP/2 knows.
_WITHOUT_HTTP2: Final = frozenset({"binary", "legacy"})
_OF_HTTP2: Final = frozenset({"connections", "streams"})

_LISTEN: Final = re.compile(
    r"(?:(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[\w.-]+)):)?"
    r"(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?",
    re.ASCII,
)
_LOOPBACK: Final = "127.0.0.1"
_LAST_PORT: Final = 65_535
#: Ports of a range to listen on.
_MOST_PORTS: Final = 1000

_PROXIES: Final = frozenset({"http", "socks5", "socks5h"})
_REDIS: Final = frozenset({"redis", "rediss", "unix"})


def check_topic(topic: str) -> str:
    """Take one word."""
    if not topic or topic.split() != [topic]:
        raise ValueError("must not be empty or have spaces in it")
    return topic


def check_apple_id(apple_id: str | None) -> str | None:
    """Take a key id or team id."""
    if apple_id is not None and not (
        len(apple_id) == KEY_ID_LENGTH and apple_id.isascii() and apple_id.isalnum()
    ):
        raise ValueError(f"must be {KEY_ID_LENGTH} letters and digits")
    return apple_id


def check_rate(rate: str | None) -> str | None:
    """Take a number of pushes in a second, minute or hour."""
    if rate is not None and not per_second(rate):
        raise ValueError("must be a number above 0 and a unit, such as 9000/s, 600/m or 50000/h")
    return rate


def per_second(rate: str | None) -> float:
    """Return how many pushes a second a rate allows; 0 if there is none."""
    found = _RATE.fullmatch(rate or "")
    return float(found[1]) / _SECONDS[found[2]] if found else 0.0


def check_server(url: str | None) -> str | None:
    """Take `https://host` or `https://host:port`: requests bring their own path."""
    if url is not None:
        parts = _split(url)
        if parts.scheme != "https" or not parts.hostname or parts.netloc != url[len("https://") :]:
            raise ValueError("must be https://host or https://host:port, with nothing after it")
        if "@" in url:
            raise ValueError("must not have a user or password")
    return url


def check_gcm_server(url: str | None, protocol: str | None) -> str | None:
    """Take an origin for FCM v1, or for GCM the whole URL that messages are posted to."""
    if url is None or protocol != "legacy":
        return check_server(url)
    parts = _split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.path.strip("/"):
        raise ValueError("must be a whole URL, such as https://relay.example.com/gcm/send")
    if "@" in url or parts.query or parts.fragment:
        raise ValueError("must not have a user, password, query or fragment")
    return url


def check_address(address: str | None) -> str | None:
    """Take `host:port`, or `[::1]:port`."""
    if address is not None:
        parts = _split(f"//{address}")
        if not parts.hostname or not parts.port or parts.netloc != address or "@" in address:
            raise ValueError("must be host:port")
    return address


def check_listen(address: Any) -> str | None:
    """Take `host:port` or `host:first-last`, IPv6 in brackets; the port alone means loopback."""
    if address is None:
        return None
    text = str(address) if type(address) is int else address
    if not isinstance(text, str):
        raise ValueError("must be host:port, host:first-last or a port")  # noqa: TRY004
    listen_parts(text)
    return text


def listen_parts(address: str) -> tuple[str, range]:
    """Return the host and the ports to be tried of an address to listen on.

    Raises:
        ValueError: It is none.
    """
    match = _LISTEN.fullmatch(address)
    if match is None:
        raise ValueError("must be host:port, host:first-last or a port")
    first = int(match["first"])
    last = int(match["last"] or first)
    if not (first <= last <= _LAST_PORT and last - first < _MOST_PORTS):
        raise ValueError(f"must end with a port up to {_LAST_PORT}, or up to {_MOST_PORTS} of them")
    return match["ipv6"] or match["host"] or _LOOPBACK, range(first, last + 1)


def check_time_of_day(text: str) -> str:
    """Take `HH:MM`."""
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and len(minute) == 2):  # noqa: PLR2004
        raise ValueError("must be HH:MM")
    if int(hour) > 23 or int(minute) > 59:  # noqa: PLR2004
        raise ValueError("must be from 00:00 to 23:59")
    return text


def check_proxy(url: SecretStr | None) -> SecretStr | None:
    """Take a proxy's URL with its port, which libcurl would guess."""
    if url is not None:
        parts = _split(url.get_secret_value())
        if parts.scheme not in _PROXIES or not parts.hostname or parts.port is None:
            raise ValueError("must be http, socks5 or socks5h, a host and a port")
    return url


def check_redis_url(url: str | None) -> str | None:
    """Take what `redis.Redis.from_url` takes."""
    if url is not None and _split(url).scheme not in _REDIS:
        raise ValueError("must begin with redis://, rediss:// or unix://")
    return url


def check_protocol(name: str, others: Mapping[str, Any]) -> None:
    """Refuse a setting that the app's protocol has no use for.

    Args:
        name: The setting, one that is written.
        others: The settings before it, `protocol` among them if that is right.
    """
    protocol = others.get("protocol")
    owner = PROTOCOL_OF.get(name)
    if protocol and owner and owner != protocol:
        raise PydanticCustomError(
            MISPLACED,
            f"belongs to protocol {owner!r}, and this app's is {protocol!r}; remove it, or set"
            f" protocol = {owner!r}",
        )
    if protocol in _WITHOUT_HTTP2 and name in _OF_HTTP2:
        raise PydanticCustomError(
            MISPLACED,
            f"belongs to HTTP/2, which protocol {protocol!r} does not speak; remove it",
        )


def check_command(command: int, others: Mapping[str, Any]) -> int:
    """Refuse frames that no gateway answers, where an answer is what confirms."""
    if command == SIMPLE and others.get("confirm") == "sentinel":
        raise PydanticCustomError(
            MISPLACED,
            "0 has no errors, and so confirm = 'sentinel' would wait in vain; set command to 1 or"
            " 2, or confirm to 'silence'",
        )
    return command


def check_needed(value: Any, others: Mapping[str, Any], protocol: str, way: str) -> None:
    """Refuse the lack of a setting that a protocol cannot do without."""
    if value is None and others.get("protocol") == protocol:
        raise PydanticCustomError(CREDENTIAL, f"missing; set {way}")


def check_apns_credential(name: str, value: Any, others: Mapping[str, Any]) -> None:
    """Check that there is one way to authenticate at Apple, and that it is complete.

    Args:
        name: The setting, one of those that belong to a key or a certificate.
        value: None if it is missing.
        others: The settings before it that are right in themselves.
    """
    if others.get("protocol") == "binary":
        _check_certificate(name, others.get("certificate", True))
    elif name == "key" and "certificate" in others:
        _check_one_way(key=value, certificate=others["certificate"])
    if name in {"key_id", "team_id"} and "key" in others:
        _check_belongs_to_key(name, value, others["key"])
    if name.startswith("certificate_") and value and others.get("certificate", True) is None:
        raise PydanticCustomError(
            CREDENTIAL,
            "there is no certificate that it could belong to; set certificate, or remove it",
        )


def _check_certificate(name: str, certificate: object) -> None:
    if name == "key" and certificate is None:
        raise PydanticCustomError(
            CREDENTIAL, "the binary gateway takes no key; set certificate (and certificate_key)"
        )


def _check_one_way(*, key: object, certificate: object) -> None:
    if key and certificate:
        raise PydanticCustomError(
            CREDENTIAL, "there is a certificate too, and Apple takes only one of them; remove one"
        )
    if not key and not certificate:
        raise PydanticCustomError(
            CREDENTIAL, "missing; set key, key_id and team_id, or else certificate"
        )


def _check_belongs_to_key(name: str, value: object, key: object) -> None:
    if key and not value:
        where = "beside the key" if name == "key_id" else "on the membership page"
        raise PydanticCustomError(
            CREDENTIAL, f"missing; set the 10 characters that Apple shows {where}"
        )
    if value and not key:
        raise PydanticCustomError(
            CREDENTIAL, "belongs to a key, and there is a certificate instead; remove it"
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL whose port is a number up to 65535") from None
    return parts
