"""firebase-admin, pointed at a sink: it has no option for that, so its class attribute is set."""

import firebase_admin
from common import Job
from firebase_admin import credentials, messaging
from firebase_admin.messaging import _MessagingService

#: The most devices of one multicast.
MOST = 500


def initialize(url: str, service_account: str) -> firebase_admin.App:
    _MessagingService.FCM_URL = f"{url}/v1/projects/{{0}}/messages:send"
    return firebase_admin.initialize_app(credentials.Certificate(service_account))


def multicasts(job: Job, first: int, end: int) -> list[messaging.MulticastMessage]:
    notification = messaging.Notification(title="Goal", body="x" * job.payload)
    return [
        messaging.MulticastMessage(
            [job.device_token(number) for number in range(begin, min(begin + MOST, end))],
            notification=notification,
        )
        for begin in range(first, end, MOST)
    ]
