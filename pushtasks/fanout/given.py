"""The source that a caller means: whatever was given as devices, or what was kept of a source."""

import io
import os
from collections.abc import Iterable, Mapping
from typing import Any

from pushtasks.errors import InvalidPush
from pushtasks.fanout.redis_key import RedisKey, bare_url
from pushtasks.fanout.sources import File, Items, Source, Stream


def source_of(devices: Any) -> Source:
    """Return devices, as a caller gives them, as a source.

    Raises:
        InvalidPush: They are nothing that can be read device by device.
    """
    if isinstance(devices, Items | Stream | File | RedisKey):
        return devices
    if isinstance(devices, os.PathLike):
        return File(devices)
    if isinstance(devices, io.IOBase) or hasattr(devices, "readline"):
        return Stream(devices)
    if isinstance(devices, str | bytes | Mapping) or not isinstance(devices, Iterable):
        raise InvalidPush(
            f"devices: {type(devices).__name__} is no list of devices; give any iterable of device"
            " tokens, or fanout.file(path)"
        )
    return Items(devices)


def described_source(described: Mapping[str, Any], redis_url: str | None = None) -> Source | None:
    """Return a source that can be read again by what it said of itself; None if it cannot.

    Args:
        described: What it said.
        redis_url: Of the settings: the password of a key in that Redis, which was not kept.

    Raises:
        InvalidPush: Its file is gone.
    """
    if described["kind"] == "file":
        return File(described["path"], described["format"])
    if described["kind"] == "redis":
        if redis_url is not None and bare_url(redis_url) == described["url"]:
            return RedisKey(described["key"], redis_url)
        return RedisKey(described["key"], described["url"])
    return None
