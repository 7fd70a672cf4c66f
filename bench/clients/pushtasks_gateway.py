"""Ours over a binary gateway, as bulk tasks use it: checked, recorded, confirmed by silence."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from common import Job, apns_id, measure, read_job
from pydantic import SecretStr

from pushtasks.apns.gateway import GatewayClient
from pushtasks.apns.notification import device_token, notification
from pushtasks.config import ApnsApp

#: Pushes of one bulk task, and tasks at a time: silence is waited for, so there must be several.
BULK = 1000
TASKS = 16


def make_client(job: Job) -> GatewayClient:
    app = ApnsApp(
        name="bench",
        protocol="binary",
        certificate=SecretStr(str(job.key_file)),
        gateway=job.url.removeprefix("tls://"),
        ca_file=job.ca_file,
        pool_size=2,
        assume_sent=0.05,
    )
    return GatewayClient(app, "production", lambda *_: None)


def send_with(job: Job, client: GatewayClient, numbers: Iterable[int]) -> int:
    alert = notification(job.apns_payload(), topic=job.topic)
    frames = [
        client.push(device_token(job.device_token(number)), alert, apns_id(number))
        for number in numbers
    ]
    return sum(verdict.reason is None for verdict in client.send(frames, is_list=True))


if __name__ == "__main__":
    job = read_job()
    client = make_client(job)
    with ThreadPoolExecutor(TASKS) as threads:

        def send(first: int, end: int) -> int:
            lists = (range(begin, min(begin + BULK, end)) for begin in range(first, end, BULK))
            return sum(threads.map(lambda numbers: send_with(job, client, numbers), lists))

        measure(job, send)
    client.close(1.0)
