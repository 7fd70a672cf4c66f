"""What FCM asks of a message that has the right form: one target, sound values, small enough.

Source: Google, REST reference of projects.messages; "Topic messaging".
"""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from pushtasks.emulator.fcm_message import Violation
from pushtasks.wire import fcm as wire

_TOPIC: Final = re.compile(wire.TOPIC_PATTERN)
_CONDITION_TOPIC: Final = re.compile(r"""(['"])(?P<topic>[^'"]*)\1 in topics""")
_CONDITION_REST: Final = re.compile(r"[\s()!]*T[\s()]*((&&|\|\|)[\s()!]*T[\s()]*)*")
_DURATION: Final = re.compile(r"(\d{1,12})(\.\d{1,9})?s")
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_PRIORITIES: Final = frozenset({"NORMAL", "HIGH"})


def violations(message: dict[str, Any]) -> Iterator[Violation]:
    """Yield what is wrong with a message, fields in snake_case."""
    return chain(_target(message), _data(message), _android(message), _options(message))


def is_too_big(message: dict[str, Any]) -> bool:
    """Return whether a message is over the limit, which is smaller for topics."""
    to_topic = "topic" in message or "condition" in message
    limit = wire.TOPIC_PAYLOAD_LIMIT if to_topic else wire.PAYLOAD_LIMIT
    android = message.get("android", {})
    common = _size(message.get("notification")) + _size(android.get("data", message.get("data")))
    apple = message.get("apns", {}).get("payload")
    return common > limit or (apple is not None and len(_json(apple)) > limit)


def _size(texts: dict[str, str] | None) -> int:
    """Return the bytes of all keys and values."""
    return sum(len(key.encode()) + len(text.encode()) for key, text in (texts or {}).items())


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _target(message: dict[str, Any]) -> Iterator[Violation]:
    targets = wire.TARGETS & message.keys()
    if not targets:
        yield Violation("message", "Recipient of the message is not set.")
    for name in targets:
        if not message[name]:
            yield Violation(f"message.{name}", "Recipient of the message is not set.")
        elif name == "topic" and not _TOPIC.fullmatch(message[name]):
            yield Violation("message.topic", f"The topic must match {wire.TOPIC_PATTERN}")
        elif name == "condition":
            yield from _condition(message[name])


def _condition(condition: str) -> Iterator[Violation]:
    topics = [match["topic"] for match in _CONDITION_TOPIC.finditer(condition)]
    rest = _CONDITION_TOPIC.sub("T", condition)
    if not _CONDITION_REST.fullmatch(rest) or rest.count("(") != rest.count(")"):
        yield Violation("message.condition", "The condition cannot be understood")
    elif len(topics) > wire.CONDITION_TOPIC_LIMIT:
        described = f"The condition names more than {wire.CONDITION_TOPIC_LIMIT} topics"
        yield Violation("message.condition", described)
    for topic in topics:
        if not _TOPIC.fullmatch(topic):
            yield Violation("message.condition", f"The topic must match {wire.TOPIC_PATTERN}")


def _data(message: dict[str, Any]) -> Iterator[Violation]:
    for path, holder in (("message", message), ("message.android", message.get("android", {}))):
        for key in holder.get("data", ()):
            if key in wire.RESERVED_DATA_KEYS or key.startswith(wire.RESERVED_DATA_PREFIXES):
                yield Violation(f"{path}.data", f"Invalid data payload key: {key:.60}")


def _android(message: dict[str, Any]) -> Iterator[Violation]:
    android = message.get("android")
    if not android:
        return
    if android.get("priority", "HIGH").upper() not in _PRIORITIES:
        yield Violation("message.android.priority", "The priority must be NORMAL or HIGH")
    if "ttl" in android:
        duration = _DURATION.fullmatch(android["ttl"])
        if duration is None or float(duration[0][:-1]) > wire.TIME_TO_LIVE_LIMIT:
            described = f'The ttl must be seconds up to {wire.TIME_TO_LIVE_LIMIT}, such as "3.5s"'
            yield Violation("message.android.ttl", described)
    color = android.get("notification", {}).get("color")
    if color is not None and not _COLOR.fullmatch(color):
        yield Violation("message.android.notification.color", "The color must be #rrggbb")


def _options(message: dict[str, Any]) -> Iterator[Violation]:
    holders = {"message": message} | {
        f"message.{name}": message.get(name, {}) for name in ("android", "apns", "webpush")
    }
    for path, holder in holders.items():
        options = holder.get("fcm_options")
        if not options:
            continue
        if len(options.get("analytics_label", "")) > wire.ANALYTICS_LABEL_LIMIT:
            described = f"The label is longer than {wire.ANALYTICS_LABEL_LIMIT} characters"
            yield Violation(f"{path}.fcm_options.analytics_label", described)
        if not options.get("link", "https://").startswith("https://"):
            yield Violation(f"{path}.fcm_options.link", "The link must begin with https://")
