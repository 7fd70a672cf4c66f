"""Fan-out: one payload, or one for each, to any number of devices, in constant memory.

    from pushtasks import fanout

    started = fanout.start("apns", devices.iterator(), {"aps": {"alert": "Hello"}})
    done = fanout.wait(started.id)
    print(done.accepted, "of", done.devices)

It is published here and sent by the workers, as bulk tasks that resume. From any other process it
can be watched (`status`, `failures`, `recent`) and steered (`pause`, `resume`, `cancel`).
"""

import os
from typing import Any

from celery import Celery

from pushtasks.config import current_settings
from pushtasks.errors import InvalidSettings
from pushtasks.fanout.publishing import check, resume, start
from pushtasks.fanout.redis_key import RedisKey
from pushtasks.fanout.sources import File, Stream
from pushtasks.fanout.watching import cancel, failures, pause, recent, status, wait
from pushtasks.host import current_app
from pushtasks.store.fanout_state import Fanout, State

__all__ = [
    "Fanout",
    "State",
    "cancel",
    "check",
    "failures",
    "file",
    "pause",
    "recent",
    "redis_key",
    "resume",
    "start",
    "status",
    "stream",
    "wait",
]


def file(path: str | os.PathLike[str], format: str | None = None) -> File:  # noqa: A002
    """Return the devices of a file, which can be resumed by itself.

    A line is a device: a token; a row of CSV; or JSON, a token, a pair or an object as `start`
    takes them. CSV may have a heading: then `token` (or `device_token`, `registration_id`, …) holds
    the device, `provider`, `payload`, `priority` and so on what is its own, and other columns are
    left alone. Without a heading the first column is the token, or with mixed devices the second.

    Args:
        path: Of a file in UTF-8.
        format: `csv`, `jsonl` or `lines`; left out, it is seen by the name, else by the first line.

    Raises:
        InvalidPush: It cannot be read.
    """
    return File(path, format)


def stream(opened: Any, format: str | None = None) -> Stream:  # noqa: A002
    """Return the devices of an open file, as `file` reads them; for instance of standard input."""
    return Stream(opened, format)


def redis_key(key: str, url: str | None = None, *, celery_app: Celery | None = None) -> RedisKey:
    """Return the devices of a list, set or sorted set in Redis, which is read and left as it is.

    Args:
        key: Its name. It must not change until all of it is published. Members are tokens or JSON.
        url: Of its Redis; left out, the one of the settings.
        celery_app: Whose settings; left out, those of the current one.

    Raises:
        InvalidSettings: No setting names a Redis.
    """
    url = url or current_settings(celery_app or current_app()).redis_url
    if url is None:
        raise InvalidSettings("no Redis is set: give the url of the one that has the key")
    return RedisKey(key, url)
