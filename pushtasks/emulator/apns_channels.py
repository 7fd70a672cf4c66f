"""Broadcast channels: create, read, list, delete, and send to all who listen on one.

Source: Apple, "Sending broadcast push notification requests to APNs" and "Sending channel
management requests to APNs".
"""

import base64
import re
import uuid
from typing import Any, Final

from pushtasks.emulator import reasons
from pushtasks.emulator.apns_checks import check_expiration, check_priority, is_object
from pushtasks.emulator.exchange import Answer, Request, json_answer, read_json
from pushtasks.wire import apns_http2 as wire

#: Channels of one app in one environment.
CHANNELS_LIMIT: Final = 10_000
#: Apps whose channels are kept.
APPS_LIMIT: Final = 1000
#: Bytes of what a channel id encodes.
CHANNEL_ID_SIZE: Final = 16
NO_STORAGE: Final = wire.CHANNEL_STORAGE_POLICIES["none"]
_BROADCAST: Final = re.compile(re.escape(wire.BROADCAST_PATH) + r"([^/]+)")
_MANAGEMENT: Final = re.compile(r"/1/apps/([^/]+)/(channels|all-channels)")
_CHANNEL_ID: Final = re.compile(r"[A-Za-z0-9+/]{4,}={0,2}")


class Channels:
    """All channels of all apps."""

    def __init__(self) -> None:
        #: Bundle id → channel id → message storage policy.
        self._apps: dict[str, dict[str, int]] = {}

    def send(self, request: Request, refusal: str | None) -> Answer:
        """Judge a broadcast.

        Args:
            request: `POST /4/broadcasts/apps/<bundle id>`.
            refusal: The reason why the client may not push at all, None if it may.
        """
        path = _BROADCAST.fullmatch(request.path)
        reason = _check_broadcast(request, has_path=path is not None) or refusal
        if reason is None and path is not None:
            reason = self._check_channel(request, path[1])
        return _refused(request, reason) if reason else Answer(200, _id_header(request))

    def manage(self, request: Request, refusal: str | None) -> Answer:
        """Create, read, list or delete a channel.

        Args:
            request: On `/1/apps/<bundle id>/channels` or `…/all-channels`.
            refusal: The reason why the client may not push at all, None if it may.
        """
        path = _MANAGEMENT.fullmatch(request.path)
        reason = "DuplicateHeaders" if request.has_duplicates else refusal
        if path is None or reason is not None:
            return _refused(request, reason or "BadPath")
        bundle_id, collection = path.groups()
        match request.method, collection:
            case "POST", "channels":
                return self._create(request, bundle_id)
            case "GET", "channels":
                return self._read(request, bundle_id)
            case "DELETE", "channels":
                return self._delete(request, bundle_id)
            case "GET", "all-channels":
                body = {"channels": list(self._apps.get(bundle_id, ()))}
                return json_answer(200, body, _id_header(request))
        return _refused(request, "MethodNotAllowed")

    def _create(self, request: Request, bundle_id: str) -> Answer:
        body = read_json(request.body) if is_object(request.body) else {}
        policy: Any = body.get("message-storage-policy")
        if body.get("push-type") != wire.CHANNEL_PUSH_TYPE:
            return _refused(request, "BadRequestPayload")
        if policy not in wire.CHANNEL_STORAGE_POLICIES.values() or isinstance(policy, bool):
            return _refused(request, "BadRequestPayload")
        if bundle_id not in self._apps and len(self._apps) >= APPS_LIMIT:
            return _refused(request, "CannotCreateChannelConfig")
        channels = self._apps.setdefault(bundle_id, {})
        if len(channels) >= CHANNELS_LIMIT:
            return _refused(request, "CannotCreateChannelConfig")
        channel_id = base64.b64encode(uuid.uuid4().bytes[:CHANNEL_ID_SIZE]).decode()
        channels[channel_id] = policy
        return Answer(201, (*_id_header(request), (wire.CHANNEL_ID, channel_id)))

    def _read(self, request: Request, bundle_id: str) -> Answer:
        channels = self._apps.get(bundle_id, {})
        reason = _check_channel_id(request, channels)
        if reason is not None:
            return _refused(request, reason)
        policy = channels[request.headers[wire.CHANNEL_ID]]
        body = {"message-storage-policy": policy, "push-type": wire.CHANNEL_PUSH_TYPE}
        return json_answer(200, body, _id_header(request))

    def _delete(self, request: Request, bundle_id: str) -> Answer:
        channels = self._apps.get(bundle_id, {})
        reason = _check_channel_id(request, channels)
        if reason is not None:
            return _refused(request, reason)
        del channels[request.headers[wire.CHANNEL_ID]]
        return Answer(204, _id_header(request))

    def _check_channel(self, request: Request, bundle_id: str) -> str | None:
        channels = self._apps.get(bundle_id, {})
        reason = _check_channel_id(request, channels)
        if reason is not None:
            return reason
        is_stored = channels[request.headers[wire.CHANNEL_ID]] != NO_STORAGE
        return None if is_stored or request.headers[wire.EXPIRATION] == "0" else "BadExpirationDate"


def _check_broadcast(request: Request, *, has_path: bool) -> str | None:
    """Return the reason that speaks against a broadcast by itself, None if none does."""
    headers = request.headers
    push_type = headers.get(wire.PUSH_TYPE)
    if request.has_duplicates:
        return "DuplicateHeaders"
    if request.method != "POST":
        return "MethodNotAllowed"
    if not has_path:
        return "BadPath"
    if push_type is None:
        return "MissingPushType"
    if push_type.lower() != wire.CHANNEL_PUSH_TYPE.lower():
        return "InvalidPushType"
    return (
        check_priority(headers.get(wire.PRIORITY), push_type)
        or check_expiration(headers.get(wire.EXPIRATION, ""))
        or _check_payload(request)
    )


def _check_payload(request: Request) -> str | None:
    if not request.length:
        return "PayloadEmpty"
    if request.length > wire.BROADCAST_PAYLOAD_LIMIT:
        return "PayloadTooLarge"
    body: dict[str, Any] = read_json(request.body) if is_object(request.body) else {}
    aps = body.get("aps")
    # Nobody listens on a channel before an activity has started.
    is_sound = isinstance(aps, dict) and aps.get("event") in {"update", "end"}
    return None if is_sound else "BadRequestPayload"


def _check_channel_id(request: Request, channels: dict[str, int]) -> str | None:
    channel_id = request.headers.get(wire.CHANNEL_ID)
    if channel_id is None:
        return "MissingChannelId"
    if not _CHANNEL_ID.fullmatch(channel_id):
        return "BadChannelId"
    return None if channel_id in channels else "ChannelNotRegistered"


def _refused(request: Request, reason: str) -> Answer:
    status = reasons.apns_status(reason)
    return json_answer(status, {"reason": reason}, _id_header(request), reason)


def _id_header(request: Request) -> tuple[tuple[str, str], ...]:
    return ((wire.REQUEST_ID, request.headers.get(wire.REQUEST_ID) or str(uuid.uuid4())),)
