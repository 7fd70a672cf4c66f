"""Where Celery's `autodiscover_tasks` finds the tasks, for workers of a project's own app."""

from pushtasks.tasks import (
    deliver_feedback,
    poll_feedback,
    send_apns,
    send_apns_many,
    send_chunk,
    send_fcm,
    send_gcm,
    send_gcm_many,
)

__all__ = [
    "deliver_feedback",
    "poll_feedback",
    "send_apns",
    "send_apns_many",
    "send_chunk",
    "send_fcm",
    "send_gcm",
    "send_gcm_many",
]
