"""The form of a GCM message, in JSON or plain text, and what speaks against it.

Source: Google, Firebase Cloud Messaging HTTP protocol (legacy) reference.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl

from pushtasks.emulator.exchange import Request, read_json
from pushtasks.wire import fcm
from pushtasks.wire import gcm as wire

_TOPIC: Final = re.compile(fcm.TOPIC_PATTERN)
_SECONDS: Final = re.compile(r"[0-9]{1,18}")
_DATA_PREFIX: Final = "data."
#: Field → type, of JSON; the second table has the targets.
_TYPES: Final = MappingProxyType(
    {
        "collapse_key": str,
        "priority": str,
        "content_available": bool,
        "mutable_content": bool,
        "delay_while_idle": bool,
        "time_to_live": int,
        "restricted_package_name": str,
        "dry_run": bool,
        "data": dict,
        "notification": dict,
    }
)
_TARGETS: Final = MappingProxyType(
    {"to": str, "registration_ids": list, "condition": str, "notification_key": str}
)
_PRIORITIES: Final = frozenset({"normal", "high"})
#: Fields of plain text beside `data.<key>`.
_FORM_FIELDS: Final = frozenset(
    {
        "registration_id",
        "collapse_key",
        "time_to_live",
        "delay_while_idle",
        "restricted_package_name",
        "dry_run",
    }
)
_TRUTHS: Final = MappingProxyType({"1": True, "true": True, "0": False, "false": False})


class MalformedMessage(ValueError):
    """The request does not have the form of a message; one line that says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be sent, and to whom: one of the first three."""

    #: In the request's order.
    registration_ids: tuple[str, ...] = ()
    #: Name of a topic, or a condition.
    topic: str | None = None
    #: A device group.
    notification_key: str | None = None
    #: All that is not the target: names as in JSON.
    fields: Mapping[str, Any] = field(default_factory=dict)
    #: Whether it came as plain text and is to be answered so.
    is_text: bool = False

    @property
    def names(self) -> tuple[str | None, ...]:
        """Whom it is to, one entry for each."""
        return self.registration_ids or (self.topic or self.notification_key,)

    @property
    def is_single(self) -> bool:
        """Whether it is to one registration id, which may turn out to be a device group's key."""
        return len(self.registration_ids) == 1 and not self.is_text

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing is to be delivered."""
        return self.fields.get("dry_run") is True

    def problem(self) -> str | None:
        """Return the error that speaks against it, whomever it is to; None if none does."""
        for key in self.fields.get("data", ()):
            if key in fcm.RESERVED_DATA_KEYS or key.startswith(fcm.RESERVED_DATA_PREFIXES):
                return "InvalidDataKey"
        time_to_live = self.fields.get("time_to_live", 0)
        if time_to_live is None or not 0 <= time_to_live <= wire.TIME_TO_LIVE_LIMIT:
            return "InvalidTtl"
        limit = wire.PAYLOAD_LIMIT if self.topic is None else wire.TOPIC_PAYLOAD_LIMIT
        size = sum(_size(self.fields.get(name, {})) for name in ("data", "notification"))
        return "MessageTooBig" if size > limit else None


def parse(request: Request) -> Message:
    """Read a request; what does not call itself JSON is plain text.

    Raises:
        MalformedMessage: No JSON, an unknown field, a value of the wrong type, more than one
            target, or too many registration ids.
    """
    if request.length > len(request.body):
        raise MalformedMessage(f"The request is longer than {len(request.body)} bytes")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return _from_json(request.body) if kind == wire.JSON_TYPE else _from_text(request.body)


# JSON ---------------------------------------------------------------------------------------------


def _from_json(body: bytes) -> Message:
    try:
        message = read_json(body)
    except ValueError as error:
        raise MalformedMessage(f"JSON_PARSING_ERROR: {error}") from None
    if not isinstance(message, dict):
        raise MalformedMessage("JSON_TYPE_ERROR: the message must be an object")
    for name, value in message.items():
        _check_type(name, value)
    if message.get("priority", "high") not in _PRIORITIES:
        raise MalformedMessage('Field "priority" must be normal or high')
    fields = {name: value for name, value in message.items() if name in _TYPES}
    return _addressed({name: message[name] for name in _TARGETS if name in message}, fields)


def _check_type(name: str, value: Any) -> None:
    kind = _TYPES.get(name) or _TARGETS.get(name)
    if kind is None:
        raise MalformedMessage(f"Unknown field {name!r:.60}")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise MalformedMessage(f'Field "{name}" must be a JSON {kind.__name__}: {value!r:.40}')


def _addressed(targets: dict[str, Any], fields: dict[str, Any]) -> Message:
    if len(targets) > 1:
        raise MalformedMessage(f"Must use only one of {', '.join(targets)}")
    to = targets.get("to", "")
    if to.startswith(wire.TOPIC_PREFIX):
        topic = to.removeprefix(wire.TOPIC_PREFIX)
        if not _TOPIC.fullmatch(topic):
            raise MalformedMessage(f'Field "to" must be {wire.TOPIC_PREFIX}<name>: {to!r:.40}')
        return Message(topic=topic, fields=fields)
    if "condition" in targets:
        return Message(topic=targets["condition"], fields=fields)
    if "notification_key" in targets:
        return Message(notification_key=targets["notification_key"], fields=fields)
    return Message(_checked_ids(targets.get("registration_ids", [to])), fields=fields)


def _checked_ids(ids: list[Any]) -> tuple[str, ...]:
    if not 0 < len(ids) <= wire.REGISTRATION_IDS_LIMIT:
        raise MalformedMessage(
            f'Number of messages on bulk ("registration_ids"): {len(ids)},'
            f" allowed are 1 to {wire.REGISTRATION_IDS_LIMIT}"
        )
    if not all(isinstance(each, str) for each in ids):
        raise MalformedMessage('Field "registration_ids" must be an array of strings')
    return tuple(ids)


# Plain text ---------------------------------------------------------------------------------------


def _from_text(body: bytes) -> Message:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise MalformedMessage(f"The form cannot be read: {error}") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise MalformedMessage("A field comes twice")
    registration_id = form.pop("registration_id", "")
    fields: dict[str, Any] = {}
    for name, text in form.items():
        if name.startswith(_DATA_PREFIX):
            fields.setdefault("data", {})[name.removeprefix(_DATA_PREFIX)] = text
        elif name in _FORM_FIELDS:
            fields[name] = _from_form(name, text)
        else:
            raise MalformedMessage(f"Unknown field {name!r:.60}")
    return Message((registration_id,), fields=fields, is_text=True)


def _from_form(name: str, text: str) -> Any:
    if _TYPES[name] is int:
        return int(text) if _SECONDS.fullmatch(text) else None
    if _TYPES[name] is bool:
        if text not in _TRUTHS:
            raise MalformedMessage(f'Field "{name}" must be 0 or 1: {text!r:.40}')
        return _TRUTHS[text]
    return text


def _size(texts: Mapping[str, Any]) -> int:
    """Return the bytes of all keys and values."""
    return sum(_length(key) + _length(value) for key, value in texts.items())


def _length(value: Any) -> int:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return len(text.encode(errors="surrogatepass"))
