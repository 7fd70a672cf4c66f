"""Ours without its checks: `ApnsClient.send` of pushes that nobody has looked at."""

from common import Job, apns_id, measure, read_job
from pushtasks_apns import BULK, make_client

from pushtasks.apns.client import ApnsClient, Push
from pushtasks.apns.notification import notification
from pushtasks.net.multiplexer import Multiplexer


def send_with(job: Job, client: ApnsClient, first: int, end: int) -> int:
    accepted = 0
    alert = notification(job.apns_payload(), topic=job.topic)
    for begin in range(first, end, BULK):
        pushes = [
            Push(job.device_token(number), alert, apns_id(number))
            for number in range(begin, min(begin + BULK, end))
        ]
        accepted += sum(verdict.reason is None for verdict in client.send(pushes))
    return accepted


if __name__ == "__main__":
    job = read_job()
    multiplexer = Multiplexer()
    client = make_client(job, multiplexer)
    measure(job, lambda first, end: send_with(job, client, first, end))
    multiplexer.close()
