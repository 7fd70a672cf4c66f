"""Push notifications as Celery tasks.

from pushtasks import send_apns

send_apns.delay(device_token, {"aps": {"alert": "Hello"}})
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pushtasks.errors import (
    InvalidPush,
    InvalidSettings,
    PollFailed,
    PushError,
    PushMaybeSent,
    PushNotSent,
)

if TYPE_CHECKING:
    from pushtasks.tasks import (
        poll_feedback,
        send_apns,
        send_apns_many,
        send_fcm,
        send_gcm,
        send_gcm_many,
    )

__all__ = [
    "InvalidPush",
    "InvalidSettings",
    "PollFailed",
    "PushError",
    "PushMaybeSent",
    "PushNotSent",
    "poll_feedback",
    "send_apns",
    "send_apns_many",
    "send_fcm",
    "send_gcm",
    "send_gcm_many",
]


def __getattr__(name: str) -> Any:
    """Import tasks and `fanout` when asked for: they bring Celery, libcurl and Google's library."""
    if name == "fanout":
        return import_module("pushtasks.fanout")
    if name in __all__:
        return getattr(import_module("pushtasks.tasks"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
