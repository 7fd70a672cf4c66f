"""The form of an FCM message: names, types and limits, in snake_case or camelCase.

Source: Google, REST reference of projects.messages.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pushtasks.emulator.exchange import read_json
from pushtasks.wire import fcm as wire

#: Characters of a field's name that are looked at; all names that there are have fewer.
NAME_LIMIT: Final = 60


class Violation(NamedTuple):
    """One thing wrong with a message, as google.rpc.BadRequest lists it."""

    field: str
    description: str


class MalformedMessage(ValueError):
    """The JSON does not have the form of a message."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__(violations)
        self.violations = violations


#: Takes a value, the path of its field, and the list to which violations are added; returns the
#: value with the names of its fields in snake_case.
Kind = Callable[[Any, str, list[Violation]], Any]


def _plain(name: str, *types: type) -> Kind:
    """Return the kind of a scalar or of an object whose fields are free."""

    def check(value: Any, path: str, violations: list[Violation]) -> Any:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            violations.append(Violation(path, f"Invalid value at '{path}' ({name}), {value!r:.40}"))
        return value

    return check


_TEXT: Final = _plain("TYPE_STRING", str)
_BOOLEAN: Final = _plain("TYPE_BOOL", bool)
_NUMBER: Final = _plain("TYPE_INT32", int, str)
_STRUCT: Final = _plain("Struct", dict)
_LIST: Final = _plain("repeated", list)


def _text_map(value: Any, path: str, violations: list[Violation]) -> Any:
    if not isinstance(value, dict):
        violations.append(Violation(path, f"Invalid value at '{path}' (map), {value!r:.40}"))
        return {}
    for number, entry in enumerate(value.values()):
        if not isinstance(entry, str):
            _TEXT(entry, f"{path}[{number}].value", violations)
    return value


def _texts(value: Any, path: str, violations: list[Violation]) -> Any:
    for number, entry in enumerate(_LIST(value, path, violations) or ()):
        _TEXT(entry, f"{path}[{number}]", violations)
    return value


def _fields(kinds: Mapping[str, Kind]) -> Kind:
    """Return the kind of an object that has these fields and no others."""

    def check(value: Any, path: str, violations: list[Violation]) -> dict[str, Any]:
        if not isinstance(value, dict):
            violations.append(Violation(path, f"Invalid value at '{path}' (object), {value!r:.40}"))
            return {}
        checked = {}
        for name, entry in value.items():
            known = snake_case(name[:NAME_LIMIT])
            kind = kinds.get(known)
            where = f"{path}.{known}" if path else known
            if kind is None:
                described = f"Unknown name \"{name:.60}\" at '{path}': Cannot find field."
                violations.append(Violation(path, described))
            elif entry is not None:
                checked[known] = kind(entry, where, violations)
        return checked

    return check


@lru_cache(maxsize=1024)
def snake_case(name: str) -> str:
    """Return a field's name as the reference prints it: both spellings are taken."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


_LABEL: Final = {"analytics_label": _TEXT}
_LOC_ARGS: Final = {"title_loc_args": _texts, "body_loc_args": _texts}
_BOOLEANS: Final = {
    "sticky",
    "local_only",
    "default_sound",
    "default_vibrate_timings",
    "default_light_settings",
}
_ANDROID_NOTIFICATION: Final = _fields(
    {
        **dict.fromkeys(wire.ANDROID_NOTIFICATION_FIELDS, _TEXT),
        **dict.fromkeys(_BOOLEANS, _BOOLEAN),
        **_LOC_ARGS,
        "vibrate_timings": _texts,
        "notification_count": _NUMBER,
        "light_settings": _STRUCT,
    }
)
_ANDROID: Final = _fields(
    {
        **dict.fromkeys(wire.ANDROID_FIELDS, _TEXT),
        "bandwidth_constrained_ok": _BOOLEAN,
        "direct_boot_ok": _BOOLEAN,
        "restricted_satellite_ok": _BOOLEAN,
        "data": _text_map,
        "fcm_options": _fields(_LABEL),
        "notification": _ANDROID_NOTIFICATION,
    }
)
_APNS: Final = _fields(
    {
        **dict.fromkeys(wire.APNS_FIELDS, _TEXT),
        "headers": _text_map,
        "payload": _STRUCT,
        "fcm_options": _fields({**_LABEL, "image": _TEXT}),
    }
)
_WEBPUSH: Final = _fields(
    {
        **dict.fromkeys(wire.WEBPUSH_FIELDS, _STRUCT),
        "headers": _text_map,
        "data": _text_map,
        "fcm_options": _fields({**_LABEL, "link": _TEXT}),
    }
)
_MESSAGE: Final = _fields(
    {
        **dict.fromkeys(wire.TARGETS, _TEXT),
        "name": _TEXT,
        "data": _text_map,
        "notification": _fields(dict.fromkeys(wire.NOTIFICATION_FIELDS, _TEXT)),
        "android": _ANDROID,
        "android_v2": _STRUCT,
        "apns": _APNS,
        "webpush": _WEBPUSH,
        "fcm_options": _fields(_LABEL),
    }
)
_REQUEST: Final = _fields({"validate_only": _BOOLEAN, "message": _MESSAGE})


def parse(body: bytes) -> dict[str, Any]:
    """Read the body of a request to send.

    Returns:
        `message` and, if it was there, `validate_only`, all fields in snake_case.

    Raises:
        MalformedMessage: No JSON, an unknown name, a value of the wrong type, or two targets.
    """
    try:
        raw = _loads(body)
    except ValueError as error:
        raise MalformedMessage([Violation("", f"Invalid JSON payload received. {error}")]) from None
    violations: list[Violation] = []
    request: dict[str, Any] = _REQUEST(raw, "", violations)
    targets = sorted(wire.TARGETS & request.setdefault("message", {}).keys())
    if len(targets) > 1:
        described = f"oneof field 'target' is already set. Cannot set '{targets[1]}'"
        violations.append(Violation("message", described))
    if violations:
        raise MalformedMessage(violations)
    return request


def _loads(body: bytes) -> Any:
    r"""Read JSON; Python alone takes half of a surrogate pair, `\ud800`, for text."""
    value = read_json(body)
    if rb"\ud" in body.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value
