"""aioapns, the usual asyncio client, with as many pushes in flight over one connection."""

import asyncio
import ssl
from collections.abc import Iterator

from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol
from common import IN_FLIGHT, PAYLOAD, TOPIC, Task, apns_id, device_token, read_task, report


def make_client(task: Task) -> APNs:
    """Return a client for the sink: where it sends to is an attribute of its protocol class."""

    class SinkProtocol(APNsProductionClientProtocol):
        APNS_SERVER = "127.0.0.1"
        APNS_PORT = task.port

    context = ssl.create_default_context(cafile=task.ca_file)
    context.set_alpn_protocols(["h2"])
    client = APNs(
        key=task.key_file.read_text(),
        key_id=task.key_id,
        team_id=task.team_id,
        topic=TOPIC,
        max_connections=1,
        ssl_context=context,
    )
    client.pool.protocol_class = SinkProtocol
    return client


async def work(client: APNs, numbers: Iterator[int]) -> int:
    accepted = 0
    for number in numbers:
        request = NotificationRequest(
            device_token=device_token(number),
            message=PAYLOAD,
            notification_id=apns_id(number),
            push_type=PushType.ALERT,
        )
        accepted += (await client.send_notification(request)).is_successful
    return accepted


async def send(client: APNs, first: int, end: int) -> int:
    numbers = iter(range(first, end))
    return sum(await asyncio.gather(*(work(client, numbers) for _ in range(IN_FLIGHT))))


async def make(task: Task) -> APNs:
    return make_client(task)


if __name__ == "__main__":
    task = read_task()
    with asyncio.Runner() as runner:
        client = runner.run(make(task))
        report(task.pushes, lambda first, end: runner.run(send(client, first, end)))
        client.pool.close()
