"""firebase-admin's `send_each_for_multicast`: a thread for each device, connections kept alive."""

from common import Job, measure, read_job
from firebase_admin import messaging
from firebase_sink import initialize, multicasts


def send(job: Job, first: int, end: int) -> int:
    batches = map(messaging.send_each_for_multicast, multicasts(job, first, end))
    return sum(batch.success_count for batch in batches)


if __name__ == "__main__":
    job = read_job()
    initialize(job.fcm_url, str(job.service_account))
    measure(job, lambda first, end: send(job, first, end))
