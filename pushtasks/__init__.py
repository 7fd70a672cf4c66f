"""Push notifications as Celery tasks.

from pushtasks import send_apns

send_apns.delay(device_token, {"aps": {"alert": "Hello"}})
"""

from pushtasks.errors import InvalidPush, InvalidSettings, PushError, PushMaybeSent, PushNotSent
from pushtasks.tasks import send_apns, send_apns_many, send_fcm, send_gcm, send_gcm_many

__all__ = [
    "InvalidPush",
    "InvalidSettings",
    "PushError",
    "PushMaybeSent",
    "PushNotSent",
    "send_apns",
    "send_apns_many",
    "send_fcm",
    "send_gcm",
    "send_gcm_many",
]
