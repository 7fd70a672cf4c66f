"""Ours, as a bulk task uses it: one message, checked once, to lists of devices."""

from datetime import UTC, datetime

from common import Job, measure, read_job
from pydantic import SecretStr

from pushtasks.config import GcmApp
from pushtasks.fcm.client import FcmClient
from pushtasks.net.multiplexer import Multiplexer

#: Targets of one bulk task.
BULK = 1000


def make_client(job: Job, multiplexer: Multiplexer) -> FcmClient:
    app = GcmApp(
        name="bench",
        credentials=SecretStr(str(job.service_account)),
        server=job.fcm_url,
        ca_file=job.ca_file,
        connections=job.connections,
    )
    return FcmClient(app, multiplexer)


def send_with(job: Job, client: FcmClient, first: int, end: int) -> int:
    accepted = 0
    payload = {"notification": {"title": "Goal", "body": "x" * job.payload}}
    for begin in range(first, end, BULK):
        push = client.message(payload, dry_run=False, now=datetime.now(UTC))
        numbers = range(begin, min(begin + BULK, end))
        verdicts = client.send([push(job.device_token(number)) for number in numbers])
        accepted += sum(verdict.reason is None for verdict in verdicts)
    return accepted


if __name__ == "__main__":
    job = read_job()
    multiplexer = Multiplexer()
    client = make_client(job, multiplexer)
    measure(job, lambda first, end: send_with(job, client, first, end))
    multiplexer.close()
