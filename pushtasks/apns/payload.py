"""The payload of a notification: a dict or a text → JSON bytes within the size limit."""

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from pushtasks.errors import InvalidPush

#: Far deeper than any app's payload, and far from the interpreter's own limit.
DEPTH_LIMIT: Final = 64

_KEY_SHOWN: Final = 30


def payload_dictionary(payload: object) -> dict[str, Any]:
    """Return a payload as a dict: a text stands for the alert that shows it.

    A payload without `aps` is fine (Wallet passes are updated by `{}`, device management by
    `{"mdm": …}`), and so is an `aps` key that is not known here: Apple adds some each year.

    Raises:
        InvalidPush: It is neither a dict nor a text, or its `aps` is no dict.

    Source: Apple, "Generating a remote notification".
    """
    if isinstance(payload, str):
        return {"aps": {"alert": payload}}
    if not isinstance(payload, dict):
        raise InvalidPush(
            f"payload is of type {type(payload).__name__}: it must be a dict such as "
            '{"aps": {"alert": "Hi"}}, or a text, which is short for that'
        )
    if not isinstance(payload.get("aps", {}), dict):
        raise InvalidPush(
            f"payload.aps is of type {type(payload['aps']).__name__}: it must be a dict such as "
            '{"alert": "Hi"}; custom keys stand beside it'
        )
    return payload


def encode_payload(payload: object, limit: int) -> bytes:
    """Encode a payload as compact JSON in UTF-8.

    Args:
        payload: A dict (`aps` beside custom keys), or a text, short for `{"aps": {"alert": …}}`.
        limit: Bytes that APNs takes, which depends on the push type.

    Raises:
        InvalidPush: JSON cannot carry it, or it is too large; the message names the place.

    Source: Apple, "Generating a remote notification".
    """
    dictionary = payload_dictionary(payload)
    for path, fault in _faults(dictionary, DEPTH_LIMIT):
        raise InvalidPush(f"payload{path} {fault}")
    encoded = json.dumps(dictionary, ensure_ascii=False, separators=(",", ":")).encode()
    if len(encoded) > limit:
        raise InvalidPush(
            f"payload is {len(encoded)} bytes of JSON and APNs takes {limit}: shorten it, or send "
            "an id by which the app fetches the rest"
        )
    return encoded


def _faults(value: object, depth: int) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong and what would be right) of what JSON cannot carry."""
    if isinstance(value, str):
        if not _is_unicode(value):
            yield "", "holds half of a surrogate pair, which is not Unicode: send the whole one"
    elif value is None or isinstance(value, int):
        return
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield "", f"is {value}, which JSON does not know: send a finite number or null"
    elif isinstance(value, (dict, list, tuple)):
        if depth == 0:
            yield "", f"is nested deeper than {DEPTH_LIMIT} levels or holds itself: flatten it"
        else:
            yield from _faults_within(value, depth - 1)
    else:
        kind = type(value).__name__
        yield "", f"is of type {kind}, which JSON does not know: make it text, a number or a list"


def _faults_within(
    container: dict[Any, Any] | list[Any] | tuple[Any, ...], depth: int
) -> Iterator[tuple[str, str]]:
    if not isinstance(container, dict):
        for index, item in enumerate(container):
            for path, fault in _faults(item, depth):
                yield f"[{index}]{path}", fault
        return
    for key, item in container.items():
        if not isinstance(key, str):
            yield "", f"has a key of type {type(key).__name__}: keys must be text"
        elif not _is_unicode(key):
            yield "", "has a key with half of a surrogate pair: keys must be Unicode text"
        else:
            for path, fault in _faults(item, depth):
                yield f".{_shown(key)}{path}", fault


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(key: str) -> str:
    shown = key if len(key) <= _KEY_SHOWN else key[:_KEY_SHOWN] + "…"
    return shown if shown.isprintable() else repr(shown)
