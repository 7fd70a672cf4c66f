"""Pure: a payload of either dialect in the fields of GCM and the FCM legacy protocol.

Legacy fields are checked and sent. v1 fields are sent under their legacy names; those for which
there is none are refused by name, since a push without them is not what the caller asked for.

Source: Google, Firebase Cloud Messaging HTTP protocol (legacy) reference.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pushtasks.fcm.checks import invalid, record, show
from pushtasks.fcm.legacy_fields import APNS_HEADERS, APS, FIELDS, NOTIFICATION_PLACES, is_legacy
from pushtasks.fcm.legacy_fields import NOTIFICATION as NOTIFICATION_CHECKS
from pushtasks.fcm.message import check_v1, given_fields, text_size
from pushtasks.wire import apns_http2

Place = tuple[str, ...]

DATA: Final = ("data",)
NOTIFICATION: Final = "notification"
NO_FIELD: Final = (
    "the legacy protocol, which this app speaks, has no field for it: leave it out, or send with an"
    " app whose protocol is v1"
)

#: Where v1 has what the legacy protocol has too → its place there.
COUNTERPARTS: Final[Mapping[Place, Place]] = MappingProxyType(
    {
        DATA: DATA,
        ("android", "collapse_key"): ("collapse_key",),
        (*APNS_HEADERS, apns_http2.COLLAPSE_ID): ("collapse_key",),
        ("android", "priority"): ("priority",),
        (*APNS_HEADERS, apns_http2.PRIORITY): ("priority",),
        ("android", "ttl"): ("time_to_live",),
        ("android", "restricted_package_name"): ("restricted_package_name",),
        (*APS, "content-available"): ("content_available",),
        (*APS, "mutable-content"): ("mutable_content",),
        (*APS, "alert"): (NOTIFICATION, "body"),
        **{
            place: (NOTIFICATION, name)
            for name, places in NOTIFICATION_PLACES.items()
            for place in places
        },
        **{
            ("android", NOTIFICATION, name): (NOTIFICATION, name)
            for name in ("title", "body", "image")
        },
        **{(*APS, "alert", name): (NOTIFICATION, name) for name in ("title", "body")},
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class LegacyMessage:
    """Everything of a message but its target; equal to itself alone."""

    #: The fields of the JSON form, as they go on the wire.
    fields: Mapping[str, Any] = field(repr=False)
    #: Bytes of text in the notification and data.
    size: int


def legacy_message(payload: object, *, dry_run: bool = False) -> LegacyMessage:
    """Check everything of a message but its target.

    Args:
        payload: As of `fcm.message.message`: a dict in legacy fields or in v1 fields, or a string.
        dry_run: Ask the server to check the message and not to deliver it; legacy payloads may ask
            for it, too.

    Raises:
        InvalidPush: A field is unknown or of both dialects, has a value that is refused, or the
            legacy protocol has no field for it.
    """
    given = given_fields(payload)
    checked = record(FIELDS)(given, "") if is_legacy(given) else _from_v1(check_v1(given, ""))
    checked["dry_run"] = dry_run or checked.get("dry_run") is True
    fields = {name: _WIRE.get(name, _as_it_is)(value) for name, value in checked.items()}
    size = text_size(fields.get("data")) + text_size([*fields.get(NOTIFICATION, {}).values()])
    return LegacyMessage({name: it for name, it in fields.items() if _says_something(it)}, size)


# From v1 --------------------------------------------------------------------------------------


def _from_v1(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked legacy fields for checked v1 fields."""
    found: dict[Place, tuple[Place, object]] = {}
    for place, value in _leaves(message):
        legacy = COUNTERPARTS.get(place)
        if legacy is None:
            raise invalid(".".join(place), NO_FIELD)
        read = _legacy_value(legacy, place, value)
        other, known = found.setdefault(legacy, (place, read))
        if known != read:
            raise invalid(
                ".".join(place),
                f"{show(value)} is not what {'.'.join(other)} says, and the legacy protocol has one"
                f" {legacy[-1]} for all devices: give only one, or the same",
            )
    fields: dict[str, Any] = {}
    for (*parents, name), (_, value) in found.items():
        node = fields.setdefault(parents[0], {}) if parents else fields
        node[name] = value
    return fields


def _leaves(node: Mapping[str, Any], above: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Return every value with its place; `data` is one value."""
    for name, value in node.items():
        place = (*above, name)
        if isinstance(value, Mapping) and place != DATA:
            yield from _leaves(value, place)
        else:
            yield place, value


def _legacy_value(legacy: Place, place: Place, value: Any) -> object:
    """Return a v1 value as its legacy field has it, checked."""
    check = NOTIFICATION_CHECKS if legacy[0] == NOTIFICATION else FIELDS
    return check[legacy[-1]](_READ.get(place, _as_it_is)(value), ".".join(place))


def _seconds(duration: str) -> int:
    """Return a duration in whole seconds; a part of one is not 0, which is now or never."""
    return math.ceil(float(duration.removesuffix("s")))


def _priority(apns_priority: str) -> str:
    return {"10": "high", "5": "normal"}.get(apns_priority, apns_priority)


def _flag(value: Any) -> Any:
    return bool(value) if value in (0, 1) else value


def _as_it_is(value: Any) -> Any:
    return value


#: Where v1 says it otherwise → how the legacy protocol does.
_READ: Final[Mapping[Place, Callable[[Any], Any]]] = MappingProxyType(
    {
        ("android", "ttl"): _seconds,
        (*APNS_HEADERS, apns_http2.PRIORITY): _priority,
        (*APS, "content-available"): _flag,
        (*APS, "mutable-content"): _flag,
    }
)


# To the wire ----------------------------------------------------------------------------------


def _notification(checked: Mapping[str, Any]) -> dict[str, str]:
    """Return texts only: the legacy protocol writes numbers and lists as text."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in checked.items()
    }


def _says_something(value: Any) -> bool:
    """Tell whether a value is to be sent; 0 is, since a time to live of 0 is now or never."""
    return value is not False and value not in ("", {})


_WIRE: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {"priority": str.lower, NOTIFICATION: _notification}
)
