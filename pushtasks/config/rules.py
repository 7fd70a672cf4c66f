"""Pure: rules for single settings that a type cannot express.

Each takes the value and returns it. What it raises is read by `mistakes`: a ValueError says what
the value must be, a PydanticCustomError says all there is to say.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from pushtasks.wire.apns_http2 import KEY_ID_LENGTH

CREDENTIAL: Final = "credential"

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


def check_server(url: str | None) -> str | None:
    """Take `https://host` or `https://host:port`: requests bring their own path."""
    if url is not None:
        parts = _split(url)
        if parts.scheme != "https" or not parts.hostname or parts.netloc != url[len("https://") :]:
            raise ValueError("must be https://host or https://host:port, with nothing after it")
        if "@" in url:
            raise ValueError("must not have a user or password")
    return url


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


def check_apns_credential(name: str, value: Any, others: Mapping[str, Any]) -> None:
    """Check that there is one way to authenticate at Apple, and that it is complete.

    Args:
        name: The setting, one of those that belong to a key or a certificate.
        value: None if it is missing.
        others: The settings before it that are right in themselves.
    """
    if name == "key" and "certificate" in others:
        _check_one_way(key=value, certificate=others["certificate"])
    if name in {"key_id", "team_id"} and "key" in others:
        _check_belongs_to_key(name, value, others["key"])
    if name.startswith("certificate_") and value and others.get("certificate", True) is None:
        raise PydanticCustomError(
            CREDENTIAL,
            "there is no certificate that it could belong to; set certificate, or remove it",
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
