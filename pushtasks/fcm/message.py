"""What goes to FCM: the message, checked and encoded once, and the target it is sent to.

A million devices may share a message, so its JSON is made once and each request splices in its
target.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Protocol

from pushtasks.errors import InvalidPush
from pushtasks.fcm import fields, legacy_fields
from pushtasks.fcm.checks import invalid, record, show
from pushtasks.masking import mask
from pushtasks.wire import fcm as wire

TOPIC_PREFIX: Final = "/topics/"

TOKEN: Final = "token"  # noqa: S105
TOPIC: Final = "topic"
CONDITION: Final = "condition"

#: What a caller may write for a target → the field of v1; a device group's key is sent as a token.
TARGET_KEYS: Final = MappingProxyType(
    {**{name: name for name in wire.TARGETS}, "notification_key": TOKEN}
)

#: Keys that people put into a payload although they belong elsewhere → where.
ELSEWHERE: Final = MappingProxyType(
    {
        "message": "give what is inside it, without the target",
        "validate_only": "give the argument dry_run",
        "to": "give the target as registration_ids",
        "registration_id": "give the target as registration_ids",
        "registration_ids": "give the targets as the argument of that name",
        "token": "give the target as registration_ids",
        **{
            key: f'give the target as registration_ids, as {{"{key}": …}}'
            for key in ("topic", "condition", "fid", "notification_key")
        },
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a message goes to: one of the four targets of v1, and its value."""

    kind: str
    value: str

    def __repr__(self) -> str:
        """Show device tokens by their beginning only."""
        value = self.value if self.kind in {TOPIC, CONDITION} else mask(self.value)
        return f"<Target {self.kind} {value}>"


@dataclass(frozen=True, slots=True)
class Message:
    """Everything of a message but its target."""

    #: A JSON object of v1 fields, compact UTF-8.
    body: bytes = field(repr=False)
    #: Bytes of text in the notification and data that a device is given.
    size: int
    #: The payload said `dry_run`, as legacy payloads may.
    validate_only: bool = False


class Sized(Protocol):
    """A message of any protocol."""

    @property
    def size(self) -> int:
        """Bytes of text in the notification and data that a device is given."""


def target(value: object) -> Target:
    """Check a target.

    Args:
        value: A registration id, `"/topics/<name>"`, or a dict with one of the keys `token`,
            `topic`, `condition`, `fid` and `notification_key` (of a device group).

    Raises:
        InvalidPush: It is none of these, or its value is not what Google takes.
    """
    if isinstance(value, str):
        kind = TOPIC if value.startswith(TOPIC_PREFIX) else TOKEN
        return Target(kind, _TARGET_CHECKS[kind](value))
    if not isinstance(value, Mapping) or len(value) != 1:
        raise InvalidPush(f"registration id {_masked(value)}: {_TARGET_RULE}")
    [(key, item)] = value.items()
    if key not in TARGET_KEYS or not isinstance(item, str):
        raise InvalidPush(f"registration id {_masked(value)}: {_TARGET_RULE}")
    kind = TARGET_KEYS[key]
    return Target(kind, _TARGET_CHECKS[kind](item))


def message(payload: object, *, now: datetime) -> Message:
    """Check and encode everything of a message but its target.

    Args:
        payload: A dict in v1 fields or in legacy fields, which `legacy_fields` tells apart and
            translates; or a string, short for `{"notification": {"body": …}}`.
        now: The instant from which a legacy `time_to_live` counts; aware.

    Raises:
        InvalidPush: A field is unknown, of both dialects, or has a value that FCM refuses.

    Source: Google, REST reference of projects.messages.
    """
    given = given_fields(payload)
    validate_only = given.get("dry_run") is True
    if legacy_fields.is_legacy(given):
        given = legacy_fields.translate(given, now=now)
    checked = check_v1(given, "")
    body = json.dumps(checked, ensure_ascii=False, separators=(",", ":")).encode()
    return Message(body, _size(checked), validate_only)


def given_fields(payload: object) -> dict[str, object]:
    """Return the fields of a payload by their names in snake_case, their values unseen.

    Args:
        payload: As of `message`.

    Raises:
        InvalidPush: A field is in neither dialect, or belongs elsewhere.
    """
    if isinstance(payload, str):
        payload = {"notification": {"body": payload}}
    if isinstance(payload, Mapping):
        _refuse_what_belongs_elsewhere(payload)
    return _either_dialect(payload, "")


def check_size(message: Sized, target: Target) -> None:
    """Check that a message is not larger than its target can be sent.

    What is counted is the text alone, the least that Google can count.

    Raises:
        InvalidPush: Over 4096 bytes, or over 2048 for topics and conditions.
    """
    topics = target.kind in {TOPIC, CONDITION}
    limit = wire.TOPIC_PAYLOAD_LIMIT if topics else wire.PAYLOAD_LIMIT
    if message.size > limit:
        raise InvalidPush(
            f"payload: {message.size} bytes of notification and data, over the {limit} of a"
            f" {target.kind}: shorten it, or let the app fetch the rest"
        )


def encode(message: Message, target: Target, *, validate_only: bool = False) -> bytes:
    """Return the body of the request that sends a message to a target, JSON in UTF-8.

    Args:
        message: As `message` made it.
        target: As `target` made it.
        validate_only: Ask FCM to check the message and not to deliver it.
    """
    fields = b"," + message.body[1:] if message.body != b"{}" else b"}"
    end = _VALIDATE_ONLY if validate_only or message.validate_only else b"}"
    return _HEADS[target.kind] + _quote(target.value).encode() + fields + end


# Targets --------------------------------------------------------------------------------------

_TARGET_RULE: Final = (
    "is no target: give a registration id as text, or a dict with one of the keys "
    + ", ".join(sorted(TARGET_KEYS))
    + " and text as its value"
)


def _identifier(value: str) -> str:
    if not re.fullmatch(r"[!-~]+", value):
        raise InvalidPush(
            f"registration id {mask(value)!r}: must be visible ASCII characters, at least one:"
            " strip white space, and leave devices without an id out"
        )
    return value


def _topic(value: str) -> str:
    name = value.removeprefix(TOPIC_PREFIX)
    if not re.fullmatch(wire.TOPIC_PATTERN, name):
        raise InvalidPush(
            f"topic {show(value)}: must be one or more of a-z A-Z 0-9 - _ . ~ %: rename it, or"
            ' give several topics as {"condition": …}'
        )
    return name


def _condition(value: str) -> str:
    topics = re.findall(r"\bin\s+topics\b", value)
    if not 1 <= len(topics) <= wire.CONDITION_TOPIC_LIMIT or not value.isprintable():
        raise InvalidPush(
            f"condition {show(value)}: must name 1 to {wire.CONDITION_TOPIC_LIMIT} topics, such as"
            " \"'news' in topics && !('sport' in topics)\""
        )
    return value


_TARGET_CHECKS: Final = MappingProxyType(
    {TOKEN: _identifier, "fid": _identifier, TOPIC: _topic, CONDITION: _condition}
)


def _masked(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{show(key)}: …" for key in list(value)[:3]) + "}"
    return f"of type {type(value).__name__}"


# Payloads -------------------------------------------------------------------------------------


def _unseen(value: object, _path: str) -> object:
    return value


_either_dialect: Final = record(dict.fromkeys([*fields.MESSAGE, *legacy_fields.FIELDS], _unseen))
check_v1: Final = record(fields.MESSAGE)


def _refuse_what_belongs_elsewhere(payload: Mapping[Any, Any]) -> None:
    for key, way_out in ELSEWHERE.items():
        if key in payload:
            raise invalid(key, f"is no part of a payload: {way_out}")


def _size(message: Mapping[str, Any]) -> int:
    """Count the text of what an Android device is given, or of the common part if that is more."""
    data, notification = message.get("data", {}), message.get("notification", {})
    android = message.get("android", {})
    own = notification | android.get("notification", {})
    return max(
        text_size(data) + text_size(list(notification.values())),
        text_size(android.get("data", data)) + text_size(list(own.values())),
    )


def text_size(value: object) -> int:
    """Return how many bytes of UTF-8 the text in a value of any shape has, keys included."""
    match value:
        case str():
            return len(value.encode())
        case list():
            return sum(map(text_size, value))
        case dict():
            return sum(text_size(key) + text_size(item) for key, item in value.items())
    return 0


# Encoding -------------------------------------------------------------------------------------

_quote: Final = json.JSONEncoder().encode
_HEADS: Final = MappingProxyType(
    {kind: f'{{"message":{{"{kind}":'.encode() for kind in wire.TARGETS}
)
_VALIDATE_ONLY: Final = b',"validate_only":true}'
