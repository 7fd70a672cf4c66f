"""A notification for Apple devices and the names it goes by, checked before anything is sent."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from reprlib import repr as shown
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from pushtasks.apns.payload import encode_payload, payload_dictionary
from pushtasks.errors import InvalidPush
from pushtasks.masking import mask
from pushtasks.wire import apns_http2 as wire

#: As an expiration: one attempt, never stored.
EPOCH: Final = datetime.fromtimestamp(0, UTC)

#: Bytes, eight times what devices have today: a guard against rubbish, not a rule of Apple's.
DEVICE_TOKEN_LIMIT: Final = 256

_DEBUG_FORM: Final = re.compile(r"[<>\s]+")
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_TOPIC: Final = re.compile(r"[!-~]+")

_PRIORITIES: Final = {
    "background": frozenset({wire.BACKGROUND_PRIORITY}),
    "liveactivity": wire.LIVE_ACTIVITY_PRIORITIES,
}


@dataclass(frozen=True, slots=True)
class Notification:
    """All of a push but the device that it goes to and the `apns-id`."""

    #: Compact JSON in UTF-8, within the limit of the push type.
    payload: bytes = field(repr=False)
    #: With the suffix of the push type; None if the certificate has a single topic.
    topic: str | None
    push_type: str
    #: None leaves it to APNs, which takes 10.
    priority: int | None
    #: Aware, UTC; EPOCH is one attempt, None leaves it to APNs.
    expiration: datetime | None
    collapse_id: str | None


def notification(
    payload: object,
    *,
    topic: str | None,
    push_type: str | None = None,
    priority: int | None = None,
    expiration: datetime | None = None,
    collapse_id: str | None = None,
) -> Notification:
    """Check a notification and complete it.

    Args:
        payload: A dict (`aps` beside custom keys), or a text, short for `{"aps": {"alert": …}}`.
        topic: Bundle id, with or without the suffix of the push type; None with a certificate
            that has a single topic.
        push_type: One of Apple's; None: `background`, `liveactivity` or `alert` by the payload.
        priority: 1, 5 or 10; 5 for a background push, 5 or 10 for a Live Activity.
        expiration: Aware; EPOCH is one attempt; None leaves it to APNs.
        collapse_id: At most 64 bytes of UTF-8.

    Raises:
        InvalidPush: APNs would refuse it; the message names the value, the rule and the way out.

    Source: Apple, "Sending notification requests to APNs".
    """
    dictionary = payload_dictionary(payload)
    push_type = _push_type(push_type, dictionary)
    limit = wire.PAYLOAD_LIMITS.get(push_type, wire.PAYLOAD_LIMIT)
    return Notification(
        payload=encode_payload(dictionary, limit),
        topic=None if topic is None else _topic(topic, push_type),
        push_type=push_type,
        priority=_priority(priority, push_type),
        expiration=None if expiration is None else _instant(expiration),
        collapse_id=None if collapse_id is None else _collapse_id(collapse_id),
    )


def device_token(value: object) -> str:
    """Return a device token as lower-case hexadecimal text.

    `<`, `>` and white space, as the old debug form has them, are dropped. No length is assumed.

    Raises:
        InvalidPush: It is not hexadecimal text of even length.

    Source: Apple, "Sending notification requests to APNs", `:path`.
    """
    if isinstance(value, str):
        try:
            binary = bytes.fromhex(value)
        except ValueError:
            binary = _from_debug_form(value)
        if 0 < len(binary) <= DEVICE_TOKEN_LIMIT:
            return binary.hex()
    raise InvalidPush(
        f"device token {_token_fault(value)}: it must be hexadecimal text of even length, at most "
        f"{2 * DEVICE_TOKEN_LIMIT} digits; pass what the app got from "
        "didRegisterForRemoteNotificationsWithDeviceToken, in hexadecimal"
    )


def are_device_tokens(values: Sequence[Any]) -> bool:
    """Tell whether `device_token` returns each of these as it is, at a tenth of what it costs.

    True only if all have the same length, as the tokens of an app do; False says nothing of any.
    """
    try:
        text = " ".join(values)
        size = len(values[0]) // 2
        is_canonical = bytes.fromhex(text).hex(" ", size) == text
    except (IndexError, TypeError, ValueError):  # none, no text, no hexadecimal digits
        return False
    has_no_inner_space = len(text) < len(values) * (2 * size + 1)
    return is_canonical and has_no_inner_space and 0 < size <= DEVICE_TOKEN_LIMIT


def _from_debug_form(value: str) -> bytes:
    try:
        return bytes.fromhex(_DEBUG_FORM.sub("", value))
    except ValueError:
        return b""


def _token_fault(value: object) -> str:
    if not isinstance(value, str):
        return f"is of type {type(value).__name__}"
    digits = _DEBUG_FORM.sub("", value)
    if not digits:
        return "is empty"
    named = repr(mask(digits))
    if re.fullmatch(r"[0-9a-fA-F]+", digits) is None:
        return f"{named} has characters that are no hexadecimal digits"
    return f"{named} has {len(digits)} digits"


def absolute_expiration(value: object, *, now: datetime) -> datetime | None:
    """Return until when APNs should try: an instant in UTC, EPOCH for one attempt, or None.

    Args:
        value: Seconds from now (0: one attempt), an aware datetime, the ISO 8601 text of one, or
            None.
        now: Aware.

    Raises:
        InvalidPush: It is negative, not finite, without a zone, or none of these.
    """
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _expiration_after(value, now)
    if isinstance(value, str):
        return _instant(_from_iso_format(value))
    if isinstance(value, datetime):
        return _instant(value)
    raise InvalidPush(
        f"expiration is of type {type(value).__name__}: give seconds from now (0: try once), or a "
        "datetime with a time zone"
    )


def _expiration_after(seconds: float, now: datetime) -> datetime:
    if seconds == 0:
        return EPOCH
    try:
        if seconds > 0:
            return (now + timedelta(seconds=seconds)).astimezone(UTC)
    except (OverflowError, ValueError):  # ValueError: not a number
        pass
    raise InvalidPush(
        f"expiration {shown(seconds)}: seconds from now must be 0 (try once) or more, and end "
        "before the year 10000; leave it out for what APNs does by itself"
    )


def _from_iso_format(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidPush(
            f"expiration {shown(text)} is no ISO 8601 date and time: give one with a time zone "
            "such as 2030-01-31T12:00:00Z, or a number of seconds from now"
        ) from None


def _instant(value: object) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidPush(
            f"expiration {shown(value)} is no datetime with a time zone: use datetime.now(UTC) + "
            "timedelta(…), or a number of seconds from now"
        )
    try:
        instant = value.astimezone(UTC)
    except OverflowError:
        instant = None
    if instant is None or instant < EPOCH:
        raise InvalidPush(
            f"expiration {value.isoformat()} is outside of 1970 to 9999 UTC: APNs counts seconds "
            "since 1970; give a moment to come, or a number of seconds from now"
        )
    return instant


def apns_id(value: object) -> str:
    """Return an `apns-id` in its canonical form: a UUID, 8-4-4-4-12, lower case.

    Raises:
        InvalidPush: It is no UUID of that form.
    """
    text = str(value) if isinstance(value, UUID) else value
    if isinstance(text, str) and _UUID.fullmatch(text.lower()):
        return text.lower()
    raise InvalidPush(
        f"apns_id {shown(value)} is no UUID such as 123e4567-e89b-42d3-a456-426614174000: use "
        "str(uuid.uuid4()), or leave it out to have the task's id"
    )


def device_apns_id(task_id: str, index: int) -> str:
    """Return the `apns-id` of one device of a bulk task: the same one on every attempt.

    Args:
        task_id: Celery's, or any other text.
        index: Place of the device in the task, 0 to 2**48 - 1.
    """
    return f"{id_prefix(task_id)}{index:012x}"


@lru_cache(maxsize=256)
def id_prefix(task_id: str) -> str:
    """Return what `device_apns_id` puts before the place: four groups of a UUID.

    They are those of the task's own id, or of a UUID that is made of it if it is none.
    """
    canonical = task_id.lower()
    if _UUID.fullmatch(canonical) is None:
        canonical = str(uuid5(NAMESPACE_URL, f"celery-task:{task_id}"))
    return canonical[:24]


def _push_type(value: object, payload: dict[str, Any]) -> str:
    if value is None:
        return _inferred_push_type(payload.get("aps", {}))
    if isinstance(value, str) and value in wire.PUSH_TYPES:
        return str(value)
    raise InvalidPush(
        f"push_type {shown(value)} is none of Apple's ({', '.join(sorted(wire.PUSH_TYPES))}): use "
        "one of them, or leave it out to have it told by the payload"
    )


def _inferred_push_type(aps: dict[str, Any]) -> str:
    if "content-state" in aps and "event" in aps:
        return "liveactivity"
    if aps.get("content-available") == 1 and aps.keys().isdisjoint({"alert", "sound", "badge"}):
        return "background"
    return "alert"


def _topic(value: object, push_type: str) -> str:
    if not isinstance(value, str) or _TOPIC.fullmatch(value) is None:
        raise InvalidPush(
            f"topic {shown(value)}: it must be a bundle id such as com.example.app, in ASCII and "
            "without white space"
        )
    suffix = wire.TOPIC_SUFFIXES[push_type]
    return value if value.endswith(suffix) else value + suffix


def _priority(value: object, push_type: str) -> int | None:
    if value is None:
        return wire.BACKGROUND_PRIORITY if push_type == "background" else None
    allowed = _PRIORITIES.get(push_type, wire.PRIORITIES)
    if isinstance(value, int) and not isinstance(value, bool) and value in allowed:
        return int(value)
    raise InvalidPush(
        f"priority {shown(value)}: a push of type {push_type} must have "
        f"{' or '.join(str(priority) for priority in sorted(allowed))}; leave it out for Apple's "
        "own choice"
    )


def _collapse_id(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and value and value == value.strip():
        size = len(value.encode())
        if size <= wire.COLLAPSE_ID_LIMIT:
            return value
        fault = f"is {size} bytes"
    else:
        fault = "is empty, no text, or has control characters or white space around it"
    raise InvalidPush(
        f"collapse_id {shown(value)} {fault}: it must be printable text of 1 to "
        f"{wire.COLLAPSE_ID_LIMIT} bytes in UTF-8; use a short id or a hash"
    )
