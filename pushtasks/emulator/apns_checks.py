"""What Apple checks of a push before it looks at the device.

Source: Apple, "Sending notification requests to APNs" and "Handling notification responses from
APNs". Apple publishes no order; this is that of jchambers/pushy's mock server.
"""

import re
from functools import lru_cache
from typing import Final

from pushtasks.emulator.exchange import Request, read_json
from pushtasks.wire import apns_http2 as wire

ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DEVICE_TOKEN: Final = re.compile(r"([0-9A-Fa-f]{2})+")
_TOPIC: Final = re.compile(r"[A-Za-z0-9\-.]+")
_SECONDS: Final = re.compile(r"[0-9]{1,18}")
_PRIORITIES: Final = frozenset(str(priority) for priority in wire.PRIORITIES)
_SUFFIXES: Final = tuple(suffix for suffix in wire.TOPIC_SUFFIXES.values() if suffix)


def check_headers(request: Request, certificate_topic: str | None = None) -> str | None:
    """Return the reason that speaks against a request's method and headers, None if none does."""
    headers = request.headers
    push_type = headers.get(wire.PUSH_TYPE)
    topic = headers.get(wire.TOPIC, certificate_topic)
    if request.has_duplicates:
        return "DuplicateHeaders"
    if wire.ID in headers and not ID.fullmatch(headers[wire.ID]):
        return "BadMessageId"
    if request.method != "POST":
        return "MethodNotAllowed"
    if not topic:
        return "MissingTopic"
    if len(headers.get(wire.COLLAPSE_ID, "")) > wire.COLLAPSE_ID_LIMIT:
        return "BadCollapseId"
    return (
        check_priority(headers.get(wire.PRIORITY), push_type)
        or check_expiration(headers.get(wire.EXPIRATION))
        or _check_topic(topic, push_type)
    )


def check_priority(priority: str | None, push_type: str | None) -> str | None:
    """Return the reason that speaks against a priority, None if none does.

    An absent priority stands for 10, which a background push must not have.
    """
    if push_type == "background":
        return None if priority == str(wire.BACKGROUND_PRIORITY) else "BadPriority"
    return None if priority is None or priority in _PRIORITIES else "BadPriority"


def check_expiration(expiration: str | None) -> str | None:
    """Return the reason that speaks against an expiration, None if it is absent or seconds."""
    return None if expiration is None or _SECONDS.fullmatch(expiration) else "BadExpirationDate"


@lru_cache(maxsize=1024)
def _check_topic(topic: str, push_type: str | None) -> str | None:
    if push_type is not None and push_type not in wire.PUSH_TYPES:
        return "InvalidPushType"
    if not _TOPIC.fullmatch(topic):
        return "BadTopic"
    if push_type is not None and suffix_of(topic) != wire.TOPIC_SUFFIXES[push_type]:
        return "BadTopic"
    return None


@lru_cache(maxsize=1024)
def suffix_of(topic: str) -> str:
    """Return the suffix that makes a topic that of a push type, empty for a bare bundle id."""
    fitting = [suffix for suffix in _SUFFIXES if topic.endswith(suffix)]
    return max(fitting, key=len, default="")


def check_path(path: str) -> str | None:
    """Return the reason that speaks against a path, None if it names a device."""
    if not path.startswith(wire.DEVICE_PATH):
        return "BadPath"
    token = path[len(wire.DEVICE_PATH) :]
    if not token:
        return "MissingDeviceToken"
    return None if _DEVICE_TOKEN.fullmatch(token) else "BadDeviceToken"


def check_payload(request: Request, certificate_topic: str | None = None) -> str | None:
    """Return the reason that speaks against a body, None if it is a JSON object that fits."""
    if not request.length:
        return "PayloadEmpty"
    topic = request.headers.get(wire.TOPIC, certificate_topic or "")
    push_type = request.headers.get(wire.PUSH_TYPE)
    if push_type is None and topic.endswith(wire.TOPIC_SUFFIXES["voip"]):
        push_type = "voip"
    if request.length > wire.PAYLOAD_LIMITS.get(push_type or "alert", wire.PAYLOAD_LIMIT):
        return "PayloadTooLarge"
    # Apple names no reason of its own for a body that is not a JSON object.
    return None if is_object(request.body) else "PayloadEmpty"


def is_object(body: bytes) -> bool:
    """Return whether a body is a JSON object."""
    try:
        return isinstance(read_json(body), dict)
    except ValueError:
        return False
