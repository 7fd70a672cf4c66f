"""aioapns, the usual asyncio client: one coroutine for each push in flight."""

import asyncio
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol
from common import Job, apns_id, measure, read_job


async def make_client(job: Job) -> APNs:
    """Return a client for the sink: where it sends to is an attribute of its protocol class."""
    sink = urlsplit(job.url)

    class SinkProtocol(APNsProductionClientProtocol):
        APNS_SERVER = sink.hostname
        APNS_PORT = sink.port

    context = ssl.create_default_context(cafile=job.ca_file)
    context.set_alpn_protocols(["h2"])
    client = APNs(
        key=job.key_file.read_text(),
        key_id=job.key_id,
        team_id=job.team_id,
        topic=job.topic,
        max_connections=job.connections,
        ssl_context=context,
    )
    client.pool.protocol_class = SinkProtocol
    return client


async def work(job: Job, client: APNs, numbers: Iterator[int]) -> int:
    accepted = 0
    for number in numbers:
        request = NotificationRequest(
            device_token=job.device_token(number),
            message=job.apns_payload(),
            notification_id=apns_id(number),
            push_type=PushType.ALERT,
        )
        accepted += (await client.send_notification(request)).is_successful
    return accepted


async def send(job: Job, client: APNs, first: int, end: int) -> int:
    numbers = iter(range(first, end))
    return sum(await asyncio.gather(*(work(job, client, numbers) for _ in range(job.in_flight))))


if __name__ == "__main__":
    job = read_job()
    with asyncio.Runner() as runner:
        client = runner.run(make_client(job))
        measure(job, lambda first, end: runner.run(send(job, client, first, end)))
        client.pool.close()
