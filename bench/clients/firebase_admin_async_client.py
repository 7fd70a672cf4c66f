"""firebase-admin's `send_each_for_multicast_async`: HTTP/2 by httpx, in one event loop."""

import asyncio

from common import Job, measure, read_job
from firebase_admin import messaging
from firebase_sink import initialize, multicasts


async def send(job: Job, first: int, end: int) -> int:
    accepted = 0
    for multicast in multicasts(job, first, end):
        accepted += (await messaging.send_each_for_multicast_async(multicast)).success_count
    return accepted


if __name__ == "__main__":
    job = read_job()
    initialize(job.fcm_url, str(job.service_account))
    with asyncio.Runner() as runner:
        measure(job, lambda first, end: runner.run(send(job, first, end)))
