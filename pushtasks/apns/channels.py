"""Broadcast channels: one push that updates the Live Activities of everyone who follows a channel.

First the requests and the reading of their answers, then `Channels`, which puts them together. Who
carries a request to its host, and with which credentials, is the caller's to say.

Sources: Apple, "Sending broadcast push notification requests to APNs" and "Sending channel
management requests to APNs".
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from reprlib import repr as shown
from typing import Any, Final
from urllib.parse import quote

from pushtasks.apns.http2 import read_reason, seconds_since_1970
from pushtasks.apns.notification import EPOCH, absolute_expiration, apns_id
from pushtasks.apns.payload import encode_payload, payload_dictionary
from pushtasks.errors import InvalidPush, PushError
from pushtasks.net.http import Request, Response, json_object
from pushtasks.results import Verdict
from pushtasks.wire import apns_http2 as wire

#: What APNs takes an ordinary push for that names no priority.
DEFAULT_PRIORITY: Final = 10

#: Bytes of the list of all channels: an app has at most 10,000, each with an id of some 24 letters.
LIST_LIMIT: Final = 1024 * 1024

_OK: Final = 200
_CREATED: Final = 201
_DELETED: Final = 204

_CHANNEL_ID: Final = re.compile(r"[A-Za-z0-9+/_-]{1,256}={0,2}")


class Service(Enum):
    """Which of Apple's hosts a request is for."""

    #: `wire.BROADCAST_HOSTS`.
    BROADCAST = "broadcast"
    #: `wire.CHANNEL_HOSTS`, each with its own port.
    CHANNELS = "channels"


#: Sends a request with the app's credentials to a service and returns the answer; what it raises
#: if there is none goes through to the caller.
Exchange = Callable[[Service, Request], Response]


class ChannelError(PushError):
    """APNs refused to create, read, delete or list channels, or its answer is unreadable."""

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message, status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


def broadcast_request(
    bundle_id: str,
    channel_id: str,
    payload: object,
    *,
    priority: int | None = None,
    expiration: datetime | None = None,
    request_id: str | None = None,
) -> Request:
    """Return the request that sends one Live Activity payload to everyone on a channel.

    Args:
        bundle_id: Of the app, without a suffix.
        channel_id: From `create`.
        payload: As `live_activity.update` and `end` make it, at most 5120 bytes as JSON.
        priority: 1, 5 or 10; None: 10.
        expiration: Aware; how long APNs keeps it, for 8 hours at most; None: not at all, the only
            choice on a channel that stores nothing.
        request_id: A UUID that the answer repeats.

    Raises:
        InvalidPush: APNs would refuse it.
    """
    event = payload_dictionary(payload).get("aps", {}).get("event")
    if event not in _BROADCAST_EVENTS:
        raise InvalidPush(
            f"payload.aps.event {shown(event)}: a broadcast takes 'update' or 'end'; to start an "
            "activity send a push to each device's push-to-start token"
        )
    priority = DEFAULT_PRIORITY if priority is None else priority
    if isinstance(priority, bool) or priority not in wire.PRIORITIES:
        raise InvalidPush(f"priority {shown(priority)}: use 1, 5 or 10, or leave it out for 10")
    lines = [
        "content-type: application/json",
        _channel_line(channel_id),
        f"{wire.PUSH_TYPE}: liveactivity",
        f"{wire.PRIORITY}: {priority}",
        f"{wire.EXPIRATION}: {seconds_since_1970(expiration or EPOCH)}",
    ]
    if request_id is not None:
        lines.append(f"{wire.REQUEST_ID}: {apns_id(request_id)}")
    return Request(
        wire.BROADCAST_PATH + quote(bundle_id, safe=""),
        encode_payload(payload, wire.BROADCAST_PAYLOAD_LIMIT),
        tuple(lines),
        wanted_headers=frozenset({wire.REQUEST_ID}),
    )


def read_broadcast(response: Response) -> Verdict:
    """Read the answer to a broadcast; the message id is the `apns-request-id`, if there is one."""
    accepted = response.status == _OK
    return Verdict(
        response.status,
        None if accepted else read_reason(response),
        response.headers.get(wire.REQUEST_ID),
        retry_after=response.retry_after,
    )


def create_request(bundle_id: str, storage: str = "newest") -> Request:
    """Return the request that makes a channel.

    Args:
        bundle_id: Of the app, without a suffix.
        storage: `newest` keeps the newest broadcast for devices that are away, `none` nothing.

    Raises:
        InvalidPush: There is no such policy.
    """
    policy = wire.CHANNEL_STORAGE_POLICIES.get(storage)
    if policy is None:
        raise InvalidPush(f"storage {shown(storage)}: it must be 'newest' or 'none'")
    body = {"message-storage-policy": policy, "push-type": wire.CHANNEL_PUSH_TYPE}
    return Request(
        _path(wire.CHANNELS_PATH, bundle_id),
        json.dumps(body, separators=(",", ":")).encode(),
        ("content-type: application/json",),
        wanted_headers=frozenset({wire.CHANNEL_ID}),
    )


def read_request(bundle_id: str, channel_id: str) -> Request:
    """Return the request that asks what a channel is like."""
    path = _path(wire.CHANNELS_PATH, bundle_id)
    return Request(path, b"", (_channel_line(channel_id),), method="GET")


def delete_request(bundle_id: str, channel_id: str) -> Request:
    """Return the request that ends a channel."""
    path = _path(wire.CHANNELS_PATH, bundle_id)
    return Request(path, b"", (_channel_line(channel_id),), method="DELETE")


def list_request(bundle_id: str) -> Request:
    """Return the request that asks for all channels of an app."""
    path = _path(wire.ALL_CHANNELS_PATH, bundle_id)
    return Request(path, b"", (), method="GET", body_limit=LIST_LIMIT)


class Channels:
    """Broadcast channels of one app in one environment; at most 10,000 of them.

    Args:
        bundle_id: Without a suffix.
        exchange: Sends a request with the app's credentials and returns the answer.
    """

    def __init__(self, bundle_id: str, exchange: Exchange) -> None:
        self._bundle_id = bundle_id
        self._exchange = exchange

    def create(self, storage: str = "newest") -> str:
        """Make a channel and return its id; arguments as those of `create_request`.

        Raises:
            InvalidPush: There is no such policy.
            ChannelError: APNs did not make it.
        """
        response = self._ask(create_request(self._bundle_id, storage), _CREATED)
        channel_id = response.headers.get(wire.CHANNEL_ID)
        if not channel_id:
            raise _refusal(response, f"no {wire.CHANNEL_ID} header")
        return channel_id

    def read(self, channel_id: str) -> dict[str, Any]:
        """Return what APNs tells of a channel: `message-storage-policy` and `push-type`.

        Raises:
            InvalidPush: The id is none.
            ChannelError: APNs does not know it.
        """
        response = self._ask(read_request(self._bundle_id, channel_id), _OK)
        channel = json_object(response.body)
        if not channel:
            raise _refusal(response, "no JSON object in the answer")
        return dict(channel)

    def delete(self, channel_id: str) -> None:
        """End a channel; devices hear nothing of it.

        Raises:
            InvalidPush: The id is none.
            ChannelError: APNs did not delete it.
        """
        self._ask(delete_request(self._bundle_id, channel_id), _DELETED)

    def list(self) -> tuple[str, ...]:
        """Return the ids of all channels.

        Raises:
            ChannelError: APNs did not tell, or its answer was cut short.
        """
        response = self._ask(list_request(self._bundle_id), _OK)
        channels = json_object(response.body).get("channels")
        if not isinstance(channels, list) or not all(isinstance(one, str) for one in channels):
            raise _refusal(response, "no list of channels in the answer")
        return tuple(channels)

    def broadcast(
        self,
        channel_id: str,
        payload: object,
        *,
        priority: int | None = None,
        expiration: float | str | datetime | None = None,
        request_id: str | None = None,
    ) -> Verdict:
        """Send one payload to everyone on a channel; a refusal is a verdict too.

        Args:
            channel_id: From `create`.
            payload: As for `broadcast_request`, like `priority` and `request_id`.
            priority: 1, 5 or 10; None: 10.
            expiration: Seconds from now, an aware datetime or its ISO 8601 text; None or 0: kept
                for nobody.
            request_id: A UUID that the answer repeats.

        Raises:
            InvalidPush: APNs would refuse it.
        """
        request = broadcast_request(
            self._bundle_id,
            channel_id,
            payload,
            priority=priority,
            expiration=absolute_expiration(expiration, now=datetime.now(UTC)),
            request_id=request_id,
        )
        return read_broadcast(self._exchange(Service.BROADCAST, request))

    def _ask(self, request: Request, expected: int) -> Response:
        response = self._exchange(Service.CHANNELS, request)
        if response.status != expected:
            raise _refusal(response, read_reason(response))
        return response


_BROADCAST_EVENTS: Final = wire.LIVE_ACTIVITY_EVENTS - {"start"}


def _refusal(response: Response, reason: str) -> ChannelError:
    return ChannelError(
        f"APNs answered a channel request with status {response.status}: {reason}",
        response.status,
        reason,
    )


def _path(template: str, bundle_id: str) -> str:
    return template.format(bundle_id=quote(bundle_id, safe=""))


def _channel_line(channel_id: object) -> str:
    if isinstance(channel_id, str) and _CHANNEL_ID.fullmatch(channel_id):
        return f"{wire.CHANNEL_ID}: {channel_id}"
    raise InvalidPush(
        f"channel_id {shown(channel_id)}: it must be the base64 text that creating the channel "
        "gave; `list` tells those that there are"
    )
