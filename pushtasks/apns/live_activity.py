"""Payloads that start, update and end a Live Activity.

They go out with push type `liveactivity`, which is told by the payload, and the app's bundle id as
topic: `start` to the app's push-to-start token, `update` and `end` to the activity's own token,
which is neither the app's device token nor stable. Custom keys may be added beside `aps`.

Source: Apple, "Starting and updating Live Activities with ActivityKit push notifications".
"""

from datetime import UTC, datetime
from reprlib import repr as shown
from typing import Any

from pushtasks.errors import InvalidPush


def start(
    content_state: dict[str, Any],
    *,
    attributes_type: str,
    attributes: dict[str, Any],
    alert: dict[str, Any] | str,
    input_push_channel: str | None = None,
    input_push_token: bool = False,
    timestamp: datetime | None = None,
    stale_date: datetime | None = None,
    relevance_score: float | None = None,
) -> dict[str, Any]:
    """Return the payload that starts an activity (iOS 17.2 and later).

    Args:
        content_state: As the app's `ContentState` decodes it.
        attributes_type: Name of the app's `ActivityAttributes` type.
        attributes: As that type decodes them.
        alert: What tells the user of it: `title`, `body`, `sound`.
        input_push_channel: Broadcast channel by which the activity is updated (iOS 18).
        input_push_token: Whether the activity asks for a token to be updated by (iOS 18).
        timestamp: Aware; the newest wins; None: now.
        stale_date: Aware; from when on the system shows the activity as outdated.
        relevance_score: Higher comes first among an app's activities.

    Raises:
        InvalidPush: One of them is missing or of the wrong type.
    """
    if not isinstance(attributes_type, str) or not attributes_type:
        raise InvalidPush(
            f"attributes_type {shown(attributes_type)}: it must be the name of the app's "
            "ActivityAttributes type, as text"
        )
    if not alert:
        raise InvalidPush(
            "alert is empty: a push that starts a Live Activity must tell the user; give its "
            "title and body"
        )
    if input_push_channel is not None and (
        not isinstance(input_push_channel, str) or not input_push_channel
    ):
        raise InvalidPush(
            f"input_push_channel {shown(input_push_channel)}: it must be a channel id as text; "
            "leave it out for an activity without a channel"
        )
    aps = _aps(
        "start",
        content_state,
        timestamp=timestamp,
        alert=alert,
        stale_date=stale_date,
        relevance_score=relevance_score,
    )
    aps["attributes-type"] = attributes_type
    aps["attributes"] = _dictionary("attributes", attributes)
    if input_push_channel is not None:
        aps["input-push-channel"] = input_push_channel
    if input_push_token:
        aps["input-push-token"] = 1
    return {"aps": aps}


def update(
    content_state: dict[str, Any],
    *,
    alert: dict[str, Any] | str | None = None,
    timestamp: datetime | None = None,
    stale_date: datetime | None = None,
    relevance_score: float | None = None,
) -> dict[str, Any]:
    """Return the payload that updates an activity; arguments as those of `start`.

    Raises:
        InvalidPush: One of them is of the wrong type.
    """
    aps = _aps(
        "update",
        content_state,
        timestamp=timestamp,
        alert=alert,
        stale_date=stale_date,
        relevance_score=relevance_score,
    )
    return {"aps": aps}


def end(
    content_state: dict[str, Any],
    *,
    dismissal_date: datetime | None = None,
    alert: dict[str, Any] | str | None = None,
    timestamp: datetime | None = None,
) -> dict[str, Any]:
    """Return the payload that ends an activity; arguments as those of `start`.

    Args:
        content_state: What stays on the screen until the activity is dismissed.
        dismissal_date: Aware; when it disappears, at once if past; None: after at most 4 hours.
        alert: What tells the user of it.
        timestamp: Aware; None: now.

    Raises:
        InvalidPush: One of them is of the wrong type.
    """
    aps = _aps("end", content_state, timestamp=timestamp, alert=alert)
    if dismissal_date is not None:
        aps["dismissal-date"] = _seconds("dismissal_date", dismissal_date)
    return {"aps": aps}


def _aps(
    event: str,
    content_state: dict[str, Any],
    *,
    timestamp: datetime | None,
    alert: dict[str, Any] | str | None,
    stale_date: datetime | None = None,
    relevance_score: float | None = None,
) -> dict[str, Any]:
    aps: dict[str, Any] = {
        "timestamp": _seconds("timestamp", timestamp or datetime.now(UTC)),
        "event": event,
        "content-state": _dictionary("content_state", content_state),
    }
    if stale_date is not None:
        aps["stale-date"] = _seconds("stale_date", stale_date)
    if relevance_score is not None:
        aps["relevance-score"] = relevance_score
    if alert is not None:
        aps["alert"] = _alert(alert)
    return aps


def _alert(value: object) -> dict[str, Any] | str:
    if isinstance(value, (dict, str)):
        return value
    raise InvalidPush(
        f"alert is of type {type(value).__name__}: it must be text or a dict with title and body"
    )


def _dictionary(name: str, value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise InvalidPush(
        f"{name} is of type {type(value).__name__}: it must be a dict as the app's type decodes "
        "it; {} if that has no fields"
    )


def _seconds(name: str, value: object) -> int:
    """Return an aware instant in whole seconds since 1970 UTC."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidPush(
            f"{name} {shown(value)} is no datetime with a time zone: use datetime.now(UTC) + "
            "timedelta(…)"
        )
    return int(value.timestamp())
