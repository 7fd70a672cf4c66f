"""Pure: a notification for one device as a frame of the binary gateway.

The wire has no topic, push type or collapse id: the certificate is the topic, and the rest came
with HTTP/2.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from pushtasks.apns.binary import Frame
from pushtasks.apns.http2 import seconds_since_1970
from pushtasks.apns.notification import Notification
from pushtasks.errors import InvalidPush
from pushtasks.masking import mask
from pushtasks.wire import apns_binary as wire

#: For how long a notification without expiration is kept for its device, as APNs does at the most.
KEPT: Final = timedelta(days=30)
#: Seconds since 1970 that four bytes can hold.
LATEST: Final = 0xFFFF_FFFF


def frame(device_token: str, notification: Notification, command: int, *, now: datetime) -> Frame:
    """Return what goes to a gateway for one device.

    Args:
        device_token: Hexadecimal text of even length, lower case.
        notification: Validated.
        command: The form of frames that the gateway takes: 0, 1 or 2.
        now: Aware.

    Raises:
        InvalidPush: The binary protocol cannot carry it.
    """
    payload, expiration, priority = _common(notification, command)
    token = bytes.fromhex(device_token)
    if len(token) > wire.DEVICE_TOKEN_LIMIT:
        raise InvalidPush(
            f"device token {mask(device_token)!r} has {len(token)} bytes: a gateway takes at"
            f" most {wire.DEVICE_TOKEN_LIMIT}; send it over protocol http2"
        )
    if expiration is None:
        expiration = seconds_since_1970(now + KEPT)
    return Frame(token, payload, expiration, priority)


@lru_cache(maxsize=256)
def _common(notification: Notification, command: int) -> tuple[bytes, int | None, int]:
    """Return payload, expiration and priority, which all devices of a notification share."""
    if notification.collapse_id is not None:
        raise InvalidPush(
            f"collapse_id {notification.collapse_id!r}: the binary gateway has none; leave it out"
        )
    limit = wire.PAYLOAD_LIMITS[command]
    if len(notification.payload) > limit:
        raise InvalidPush(
            f"payload: {len(notification.payload)} bytes, over the {limit} that a binary gateway"
            f" takes with command {command}: shorten it, or let the app fetch the rest"
        )
    expiration = notification.expiration
    seconds = None if expiration is None else min(seconds_since_1970(expiration), LATEST)
    return notification.payload, seconds, _priority(notification.priority, command)


def _priority(priority: int | None, command: int) -> int:
    if priority is None:
        return max(wire.PRIORITIES)
    if priority not in wire.PRIORITIES or (command != wire.FRAMED and priority != 10):  # noqa: PLR2004
        known = "10 or 5" if command == wire.FRAMED else "10 only"
        raise InvalidPush(
            f"priority {priority}: a binary gateway with command {command} knows {known}"
        )
    return priority
