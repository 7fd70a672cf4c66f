"""Payloads in the fields of GCM and the FCM legacy protocol, translated into v1 fields.

Google published no full mapping. Fields that Android reads have a v1 name; what the legacy servers
did for Apple devices and browsers is said in the headers and payloads that v1 hands on to them.

Sources: Google, Firebase Cloud Messaging HTTP protocol (legacy reference); "Migrate from legacy FCM
APIs to HTTP v1"; Apple, "Sending notification requests to APNs"; RFC 8030 for the Web Push headers.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from pushtasks.fcm.checks import (
    Check,
    anything,
    count,
    flag,
    invalid,
    items,
    join,
    mapping,
    one_of,
    record,
    show,
    text,
)
from pushtasks.fcm.fields import ANDROID_NOTIFICATION, MESSAGE
from pushtasks.wire import apns_http2
from pushtasks.wire import fcm as wire

#: A place in a v1 message, and what stands there.
Placed = tuple[tuple[str, ...], object]

#: Characters of the Topic header of Web Push (RFC 8030, section 5.4).
WEB_TOPIC_LIMIT: Final = 32

APS: Final = ("apns", "payload", "aps")
APNS_HEADERS: Final = ("apns", "headers")
WEB_HEADERS: Final = ("webpush", "headers")


def data_text(value: object, path: str) -> str:
    """Return a value of `data` as the string that v1 asks for: itself, or JSON text."""
    if isinstance(value, str):
        return text(value, path)
    return json.dumps(anything(value, path), ensure_ascii=False, separators=(",", ":"))


def data_texts(value: object, path: str) -> dict[str, str]:
    """Return a map whose values are all strings."""
    return {key: data_text(item, join(path, key)) for key, item in mapping(value, path).items()}


def _loc_args(value: object, path: str) -> object:
    """Check a list of strings, which the legacy reference writes as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise invalid(path, f"{show(value)} is no JSON list: give a list of text") from error
    return items(text)(value, path)


def _badge(value: object, path: str) -> int:
    """Check a number, which the legacy reference writes as text."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,10}", value):
        value = int(value)
    return count(value, path)


#: `notification` as Android, Apple and browsers had it together.
NOTIFICATION: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "title": text,
        "body": text,
        "image": text,
        "icon": text,
        "sound": text,
        "badge": _badge,
        "tag": text,
        "color": ANDROID_NOTIFICATION["color"],
        "click_action": text,
        "body_loc_key": text,
        "body_loc_args": _loc_args,
        "title_loc_key": text,
        "title_loc_args": _loc_args,
        "android_channel_id": text,
    }
)

FIELDS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "collapse_key": text,
        "priority": one_of("NORMAL", "HIGH"),
        "content_available": flag,
        "mutable_content": flag,
        "delay_while_idle": flag,
        "time_to_live": partial(count, limit=wire.TIME_TO_LIVE_LIMIT),
        "restricted_package_name": text,
        "dry_run": flag,
        "data": data_texts,
        "notification": record(NOTIFICATION),
    }
)

#: Fields of `notification` → their places in v1. Apple's alert takes precedence over the common
#: notification, so where it is given it is given whole.
NOTIFICATION_PLACES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        "title": (("notification", "title"),),
        "body": (("notification", "body"),),
        "image": (("notification", "image"),),
        "icon": (("android", "notification", "icon"),),
        "sound": (("android", "notification", "sound"), (*APS, "sound")),
        "badge": ((*APS, "badge"),),
        "tag": (("android", "notification", "tag"),),
        "color": (("android", "notification", "color"),),
        "click_action": (("android", "notification", "click_action"), (*APS, "category")),
        "android_channel_id": (("android", "notification", "channel_id"),),
        **{
            name: (("android", "notification", name), (*APS, "alert", apple))
            for name, apple in (
                ("body_loc_key", "loc-key"),
                ("body_loc_args", "loc-args"),
                ("title_loc_key", "title-loc-key"),
                ("title_loc_args", "title-loc-args"),
            )
        },
    }
)


#: Legacy fields that v1 does not know by that name → where their values go.
MOVED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "collapse_key": "android.collapse_key",
        "priority": "android.priority",
        "content_available": "apns.payload.aps.content-available",
        "mutable_content": "apns.payload.aps.mutable-content",
        "delay_while_idle": "nowhere, it has no effect",
        "time_to_live": "android.ttl",
        "restricted_package_name": "android.restricted_package_name",
        "dry_run": "the argument dry_run",
        **{
            f"notification.{name}": ".".join(places[0])
            for name, places in NOTIFICATION_PLACES.items()
            if places[0][0] != "notification"
        },
    }
)


def is_legacy(payload: Mapping[str, object]) -> bool:
    """Tell whether a payload is in legacy fields.

    `data`, and `notification` with title, body or image, are in both dialects. Where there is
    nothing else the payload counts as legacy, which differs in one thing only: values of `data`
    that are no strings are made strings.

    Raises:
        InvalidPush: It has fields of both dialects.
    """
    modern = [name for name in payload if name in MESSAGE and name not in FIELDS]
    names = list(payload)
    notification = payload.get("notification")
    if isinstance(notification, Mapping):
        names += [f"notification.{name}" for name in notification]
    legacy = [name for name in names if name in MOVED]
    if modern and legacy:
        raise invalid(
            legacy[0],
            f"a legacy field beside {modern[0]!r} of v1: give one dialect"
            f" (v1 has it at {MOVED[legacy[0]]})",
        )
    return not modern


def translate(payload: Mapping[str, object], *, now: datetime) -> dict[str, Any]:
    """Return the v1 fields for a payload in legacy fields; `dry_run` is not among them.

    Args:
        payload: Legacy fields without a target.
        now: The instant from which `time_to_live` counts; aware.

    Raises:
        InvalidPush: A field is unknown, or its value is not what the legacy reference asks for.
    """
    message: dict[str, Any] = {}
    for name, value in record(FIELDS)(payload, "").items():
        for (*parents, leaf), placed in _places(name, value, now):
            node = message
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = placed
    return _with_whole_alert(message)


def _places(name: str, value: Any, now: datetime) -> Iterator[Placed]:
    match name:
        case "data":
            yield ("data",), value
        case "notification":
            for key, item in value.items():
                yield from ((place, item) for place in NOTIFICATION_PLACES[key])
        case "collapse_key" if value:
            yield ("android", "collapse_key"), value
            yield (*APNS_HEADERS, apns_http2.COLLAPSE_ID), _apns_collapse_id(value)
            yield (*WEB_HEADERS, "Topic"), _web_topic(value)
        case "time_to_live":
            expiration = int(now.timestamp()) + value if value else 0
            yield ("android", "ttl"), f"{value}s"
            yield (*APNS_HEADERS, apns_http2.EXPIRATION), str(expiration)
            yield (*WEB_HEADERS, "TTL"), str(value)
        case "priority":
            yield ("android", "priority"), value
            yield (*APNS_HEADERS, apns_http2.PRIORITY), "10" if value == "HIGH" else "5"
            yield (*WEB_HEADERS, "Urgency"), value.lower()
        case "restricted_package_name":
            yield ("android", "restricted_package_name"), value
        case "content_available" if value:
            yield (*APS, "content-available"), 1
        case "mutable_content" if value:
            yield (*APS, "mutable-content"), 1


def _apns_collapse_id(collapse_key: str) -> str:
    """Return the key itself or, if it is none for Apple, a digest: equal keys still collapse."""
    if re.fullmatch(rf"[ -~]{{1,{apns_http2.COLLAPSE_ID_LIMIT}}}", collapse_key):
        return collapse_key
    return hashlib.sha256(collapse_key.encode()).hexdigest()


def _web_topic(collapse_key: str) -> str:
    """Return the key itself or, if it is none for Web Push, a digest."""
    if re.fullmatch(rf"[A-Za-z0-9_-]{{1,{WEB_TOPIC_LIMIT}}}", collapse_key):
        return collapse_key
    return hashlib.sha256(collapse_key.encode()).hexdigest()[:WEB_TOPIC_LIMIT]


def _with_whole_alert(message: dict[str, Any]) -> dict[str, Any]:
    alert = message.get("apns", {}).get("payload", {}).get("aps", {}).get("alert")
    if alert is not None:
        common = message.get("notification", {})
        alert.update({key: common[key] for key in ("title", "body") if key in common})
    return message
