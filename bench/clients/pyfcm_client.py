"""PyFCM's `async_notify_multiple_devices`; where it sends to is an attribute of its class."""

from common import Job, measure, read_job
from pyfcm import FCMNotification

#: Devices of one call. Each has a connection of its own.
LIST = 100


def make_client(job: Job) -> FCMNotification:
    class Client(FCMNotification):
        FCM_END_POINT_BASE = f"{job.fcm_url}/v1/projects"

    return Client(service_account_file=str(job.service_account))


def send(job: Job, client: FCMNotification, first: int, end: int) -> int:
    accepted = 0
    for begin in range(first, end, LIST):
        answers = client.async_notify_multiple_devices(
            [
                {
                    "fcm_token": job.device_token(number),
                    "notification_title": "Goal",
                    "notification_body": "x" * job.payload,
                }
                for number in range(begin, min(begin + LIST, end))
            ]
        )
        accepted += sum("name" in answer for answer in answers)
    return accepted


if __name__ == "__main__":
    job = read_job()
    client = make_client(job)
    measure(job, lambda first, end: send(job, client, first, end))
