"""Pure: an entry of the list, as producers for gapless write it, and what a task is to send.

An entry is a JSON object: `token` (hexadecimal text) and `data` (the whole payload, `aps` in it)
must be there; `identifier` is 0 and `expiry` 7200 seconds from now if they are not. What gapless
noted in entries that it had put back (`_gapless_RETRYING`), and any further key, is passed over.

Source: jlindenbaum/gapless, README.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple, NoReturn

from pushtasks.apns.frames import frame
from pushtasks.apns.notification import absolute_expiration, device_token, notification
from pushtasks.errors import InvalidPush
from pushtasks.results import Identifier
from pushtasks.sending.arguments import IDENTIFIER, check_identifier

DEFAULT_IDENTIFIER: Final = 0
#: Seconds.
DEFAULT_EXPIRY: Final = 7200
#: Bytes that are read of an entry; the largest payload that can be sent is far smaller.
LONGEST: Final = 64 * 1024
#: Bytes of a character in UTF-8 at the most.
_WIDEST: Final = 4

#: As an expiration: one attempt, nothing is stored.
TRY_ONCE: Final = 0
#: As a task takes it: `TRY_ONCE`, or an instant in ISO 8601.
Expiration = int | str


class Ready(NamedTuple):
    """An entry that can be sent."""

    #: As the producer wrote it.
    token: str
    identifier: Identifier
    payload: dict[str, Any]
    #: The payload as JSON, which tells 1 from true where a dict does not.
    encoded: bytes
    expiration: Expiration


class Reader:
    """Reads entries for one app, and says why one cannot be sent."""

    def __init__(self, command: int | None = None) -> None:
        """Take what the app can carry.

        Args:
            command: The form of frames, of an app with a binary gateway; None for any other, and
                for one that only the workers know, which then say no themselves.
        """
        self._command = command

    def read(self, text: str, now: datetime) -> Ready:
        """Return what an entry asks for.

        Args:
            text: The entry; bytes that are no UTF-8 as lone surrogates.
            now: From when expiries count; aware, whole seconds.

        Raises:
            InvalidPush: It can never be sent; device tokens are masked in the message.
        """
        entry = _object(text)
        token = _needed(entry, "token", "the device token, hexadecimal text")
        canonical = device_token(token)
        payload = _needed(entry, "data", "the payload, an object with aps in it")
        if not isinstance(payload, dict):
            raise InvalidPush(
                f"data is of type {type(payload).__name__}: it must be an object, the payload with"
                " aps in it"
            )
        identifier = _identifier(entry.get(IDENTIFIER, DEFAULT_IDENTIFIER))
        expiration = _expiration(_number(entry.get("expiry", DEFAULT_EXPIRY)), now)
        made = notification(payload, topic=None)
        if self._command is not None:
            frame(canonical, made, self._command, now=now)
        return Ready(token, identifier, payload, made.payload, expiration)


def arguments_of(entries: Sequence[Ready]) -> dict[str, Any]:
    """Return entries as arguments of `send_apns_many`; what the first has, most have as well.

    Args:
        entries: At least one.
    """
    first = entries[0]
    tokens = []
    for token, identifier, payload, encoded, expiration in entries:
        own: dict[str, Any] = {IDENTIFIER: identifier}
        if encoded != first.encoded:
            own["payload"] = payload
        if expiration != first.expiration:
            own["expiration"] = expiration
        tokens.append([token, own])
    return {"tokens": tokens, "payload": first.payload, "expiration": first.expiration}


def _object(text: str) -> dict[str, Any]:
    if len(text) * _WIDEST > LONGEST and len(text.encode(errors="surrogateescape")) > LONGEST:
        raise InvalidPush(f"longer than {LONGEST} bytes: shorten the payload")
    try:
        entry = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidPush("not JSON: nested too deeply") from None
    except ValueError as error:
        raise InvalidPush(f"not JSON ({error}): push one JSON object for each device") from None
    if not isinstance(entry, dict):
        raise InvalidPush(f"a {type(entry).__name__} in JSON: push an object with token and data")
    return entry


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON's")


def _needed(entry: dict[str, Any], key: str, meaning: str) -> Any:
    if key not in entry:
        raise InvalidPush(f"{key} is missing: it must be {meaning}")
    return entry[key]


def _identifier(value: Any) -> Identifier:
    """Return an identifier; Go and JavaScript may write a whole number as 42.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return check_identifier(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidPush(
            f"expiry is of type {type(value).__name__}: it must be a number, seconds from now"
        )
    return value


@lru_cache(maxsize=256)
def _expiration(expiry: float, now: datetime) -> Expiration:
    """Return until when to try: what ends now, or has ended, is tried once."""
    if expiry <= 0:
        return TRY_ONCE
    instant = absolute_expiration(expiry, now=now)
    return instant.isoformat() if instant else TRY_ONCE
