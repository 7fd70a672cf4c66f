"""The FCM HTTP v1 API, pure: an encoded message → a request, a response → a verdict.

The error to go by is the `errorCode` of the FcmError among the details. The same HTTP status and
general Google status without an FcmError mean something else: 404 is a wrong path then and no dead
device token, 401 our own access token and not Apple's credentials.

Sources: Google, REST reference of projects.messages.send and ErrorCode.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from pushtasks.net.http import NOTHING, Request, Response, json_object, post
from pushtasks.results import Verdict
from pushtasks.wire import fcm as wire

_CONTENT_TYPE: Final = "content-type: application/json"


def send_path(project: str) -> str:
    """Return the path that messages are sent to.

    Args:
        project: Project id or number.
    """
    return wire.SEND_PATH.format(project=quote(project, safe=""))


def request(path: str, body: bytes, authorization: str) -> Request:
    """Return the request for one message to one target.

    Args:
        path: As `send_path` made it.
        body: As `message.encode` made it.
        authorization: `Bearer …`.
    """
    return post(path, body, (f"authorization: {authorization}", _CONTENT_TYPE))


def read_response(response: Response) -> Verdict:
    """Read any response, whatever its status, size and shape.

    Returns:
        On success, the name of the message, `projects/<project>/messages/<id>`, or None if the body
        cannot be read. Else the reason: the `errorCode`, as text even when unknown (the older
        APNS_AUTH_ERROR as THIRD_PARTY_AUTH_ERROR), or one of `wire.fcm.GENERAL_REASONS` and
        `PASSING_STATUSES`, or `HTTP <status>`.
    """
    content = json_object(response.body)
    if 200 <= response.status < 300:  # noqa: PLR2004
        return Verdict(response.status, message_id=_string(content, "name"))
    error = content.get("error")
    return Verdict(
        response.status,
        reason=_reason(response.status, error if isinstance(error, dict) else NOTHING),
        retry_after=response.retry_after,
    )


def _reason(status: int, error: Mapping[str, Any]) -> str:
    code = _fcm_error_code(error)
    if code is not None:
        return wire.THIRD_PARTY_AUTH_ERROR if code == wire.APNS_AUTH_ERROR else code
    if status in wire.GENERAL_REASONS:
        return wire.GENERAL_REASONS[status]
    passing = _string(error, "status")
    if passing is not None and passing == wire.PASSING_STATUSES.get(status):
        return passing
    return wire.UNNAMED_REASON.format(status=status)


def _fcm_error_code(error: Mapping[str, Any]) -> str | None:
    details = error.get("details")
    for entry in details if isinstance(details, list) else ():
        if isinstance(entry, dict) and entry.get("@type") == wire.ERROR_TYPE:
            return _string(entry, "errorCode")
    return None


def _string(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) and value and value.isprintable() else None
