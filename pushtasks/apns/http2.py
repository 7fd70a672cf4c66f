"""Notification → HTTP request, HTTP response → verdict: the provider API without any I/O."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from pushtasks.apns.notification import EPOCH, Notification
from pushtasks.net.http import Request, Response, json_object, post
from pushtasks.results import Verdict
from pushtasks.wire import apns_http2 as wire

_ACCEPTED: Final = 200
_GONE: Final = 410

_ID_LINE: Final = f"{wire.ID}: "

#: Characters; the longest documented reason has 27.
REASON_LIMIT: Final = 100


def headers(notification: Notification, authorization: str | None) -> tuple[str, ...]:
    """Return the header lines that all devices of a notification share.

    Args:
        notification: Validated.
        authorization: `bearer …`; None if the connection has a client certificate.

    Source: Apple, "Sending notification requests to APNs".
    """
    expiration = notification.expiration
    values = (
        (wire.AUTHORIZATION, authorization),
        (wire.TOPIC, notification.topic),
        (wire.PUSH_TYPE, notification.push_type),
        (wire.PRIORITY, notification.priority),
        (wire.EXPIRATION, None if expiration is None else seconds_since_1970(expiration)),
        (wire.COLLAPSE_ID, notification.collapse_id),
    )
    return (
        "content-type: application/json",
        *(f"{name}: {value}" for name, value in values if value is not None),
    )


def seconds_since_1970(instant: datetime) -> int:
    """Return an aware instant in whole seconds since 1970 UTC, not before it."""
    return math.ceil(instant.timestamp())


def request(
    shared_headers: tuple[str, ...], device_token: str, payload: bytes, apns_id: str
) -> Request:
    """Return the request that sends one notification to one device.

    Args:
        shared_headers: From `headers`.
        device_token: Lower-case hexadecimal.
        payload: JSON in UTF-8.
        apns_id: Canonical UUID; the same one on every attempt.
    """
    return post(wire.DEVICE_PATH + device_token, payload, (*shared_headers, _ID_LINE + apns_id))


class SharedRequests:
    """The requests that send one notification to many devices, each made when it is asked for."""

    __slots__ = ("_device_tokens", "_id_line", "_payload", "_places", "_shared_headers")

    def __init__(
        self,
        shared_headers: tuple[str, ...],
        device_tokens: Sequence[str],
        payload: bytes,
        id_prefix: str,
        places: Sequence[int],
    ) -> None:
        """Take what they are made of, as of `request`.

        Args:
            shared_headers: From `headers`.
            device_tokens: Lower-case hexadecimal.
            payload: JSON in UTF-8.
            id_prefix: As of `notification.id_prefix`: with its place the `apns-id` of each.
            places: 0 to 2**48 - 1.
        """
        self._shared_headers = shared_headers
        self._device_tokens = device_tokens
        self._payload = payload
        self._id_line = f"{_ID_LINE}{id_prefix}%012x"
        self._places = places

    def __len__(self) -> int:
        return len(self._device_tokens)

    def __getitem__(self, index: int) -> Request:
        lines = (*self._shared_headers, self._id_line % self._places[index])
        return post(wire.DEVICE_PATH + self._device_tokens[index], self._payload, lines)


def read_response(response: Response, apns_id: str) -> Verdict:
    """Read the answer to one push, whatever it looks like.

    Args:
        response: Complete; its body may be of any form.
        apns_id: The one sent, since APNs only repeats it.

    Returns:
        Reason None if accepted. Otherwise Apple's reason, as it stands even if unknown, or
        `HTTP <status>` where the body gives none; `dead_since` if status 410 tells it.

    Source: Apple, "Handling notification responses from APNs".
    """
    status = response.status
    if status == _ACCEPTED:
        return Verdict(_ACCEPTED, None, apns_id)
    answer = json_object(response.body)
    return Verdict(
        status,
        _reason(answer, status),
        apns_id,
        dead_since=_instant(answer.get("timestamp")) if status == _GONE else None,
        retry_after=response.retry_after,
    )


def read_reason(response: Response) -> str:
    """Return Apple's reason for a refusal, or `HTTP <status>` where the body gives none."""
    return _reason(json_object(response.body), response.status)


def _reason(answer: Mapping[str, Any], status: int) -> str:
    reason = answer.get("reason")
    if isinstance(reason, str) and 0 < len(reason) <= REASON_LIMIT and reason.isprintable():
        return reason
    return f"HTTP {status}"


def _instant(milliseconds: object) -> datetime | None:
    """Return the instant of a timestamp in milliseconds since 1970 UTC; None if it is none."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)):
        return None
    try:
        return EPOCH + timedelta(milliseconds=milliseconds) if milliseconds > 0 else None
    except (OverflowError, ValueError):
        return None
