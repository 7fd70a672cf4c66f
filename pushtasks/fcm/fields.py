"""The fields of a v1 message, each with the check of its value.

What Google's rules fix is checked. Where Google, Apple or browsers add fields often
(`webpush.notification`, `apns.payload`, `android_v2`, the headers) any JSON passes.

Source: Google, REST reference of projects.messages, where camelCase is as good as snake_case.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pushtasks.fcm.checks import (
    Check,
    count,
    flag,
    free,
    invalid,
    items,
    matching,
    one_of,
    record,
    show,
    text,
    texts,
)
from pushtasks.wire import fcm as wire

_duration: Final = matching(
    r"\d{1,12}(\.\d{1,9})?s", "is no duration: give seconds with a final s, such as '3.5s'"
)
_label: Final = matching(
    rf"[a-zA-Z0-9\-_.~%]{{1,{wire.ANALYTICS_LABEL_LIMIT}}}",
    f"is no label: give 1 to {wire.ANALYTICS_LABEL_LIMIT} of a-z A-Z 0-9 - _ . ~ %",
)
_instant: Final = matching(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)",
    "is no RFC 3339 time: give one such as '2026-01-31T12:00:00Z'",
)
_https: Final = matching(r"https://\S+", "is no https:// address")
_color: Final = matching("#[0-9a-fA-F]{6}", "is no color: give #rrggbb")
_priority: Final = matching("(?i:normal|high)", "is neither NORMAL nor HIGH")


def data(value: object, path: str) -> dict[str, str]:
    """Check a map from string to string whose keys Google does not keep for itself."""
    checked = texts(value, path)
    for key in checked:
        if key in wire.RESERVED_DATA_KEYS or key.startswith(wire.RESERVED_DATA_PREFIXES):
            reserved = ", ".join(sorted(wire.RESERVED_DATA_KEYS))
            prefixes = " or ".join(wire.RESERVED_DATA_PREFIXES)
            raise invalid(
                path,
                f"the key {show(key)} is Google's, as are {reserved} and what begins with"
                f" {prefixes}: rename it",
            )
    return checked


def time_to_live(value: object, path: str) -> object:
    """Check a duration of at most four weeks."""
    duration = _duration(value, path)
    if float(str(duration)[:-1]) > wire.TIME_TO_LIVE_LIMIT:
        raise invalid(path, f"{show(value)} is over four weeks, {wire.TIME_TO_LIVE_LIMIT}s")
    return duration


def _apns_payload(value: object, path: str) -> object:
    payload = free(value, path)
    size = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
    if size > wire.PAYLOAD_LIMIT:
        raise invalid(
            path, f"{size} bytes of JSON, over the {wire.PAYLOAD_LIMIT} of Apple: shorten it"
        )
    return payload


NOTIFICATION: Final[Mapping[str, Check]] = MappingProxyType(
    {"title": text, "body": text, "image": text}
)

ANDROID_NOTIFICATION: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "title": text,
        "body": text,
        "icon": text,
        "color": _color,
        "sound": text,
        "tag": text,
        "click_action": text,
        "body_loc_key": text,
        "body_loc_args": items(text),
        "title_loc_key": text,
        "title_loc_args": items(text),
        "channel_id": text,
        "ticker": text,
        "sticky": flag,
        "event_time": _instant,
        "local_only": flag,
        "notification_priority": one_of(
            "PRIORITY_UNSPECIFIED",
            "PRIORITY_MIN",
            "PRIORITY_LOW",
            "PRIORITY_DEFAULT",
            "PRIORITY_HIGH",
            "PRIORITY_MAX",
        ),
        "default_sound": flag,
        "default_vibrate_timings": flag,
        "default_light_settings": flag,
        "vibrate_timings": items(_duration),
        "visibility": one_of("VISIBILITY_UNSPECIFIED", "PRIVATE", "PUBLIC", "SECRET"),
        "notification_count": count,
        "light_settings": record(
            {"color": free, "light_on_duration": _duration, "light_off_duration": _duration}
        ),
        "image": text,
        "proxy": one_of("PROXY_UNSPECIFIED", "ALLOW", "DENY", "IF_PRIORITY_LOWERED"),
    }
)

ANDROID: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "collapse_key": text,
        "priority": _priority,
        "ttl": time_to_live,
        "restricted_package_name": text,
        "data": data,
        "notification": record(ANDROID_NOTIFICATION),
        "fcm_options": record({"analytics_label": _label}),
        "direct_boot_ok": flag,
        "bandwidth_constrained_ok": flag,
        "restricted_satellite_ok": flag,
    }
)

APNS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "headers": texts,
        "payload": _apns_payload,
        "fcm_options": record({"analytics_label": _label, "image": text}),
        "live_activity_token": text,
    }
)

WEBPUSH: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "headers": texts,
        "data": data,
        "notification": free,
        "fcm_options": record({"link": _https, "analytics_label": _label}),
    }
)

MESSAGE: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "data": data,
        "notification": record(NOTIFICATION),
        "android": record(ANDROID),
        "android_v2": free,
        "apns": record(APNS),
        "webpush": record(WEBPUSH),
        "fcm_options": record({"analytics_label": _label}),
    }
)
