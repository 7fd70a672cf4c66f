"""Ours, as a bulk task uses it: validated notifications, a provider token, verdicts read."""

from common import PAYLOAD, TOPIC, Task, apns_id, device_token, read_task, report
from pydantic import SecretStr

from pushtasks.apns.client import ApnsClient, Push
from pushtasks.apns.notification import device_token as checked
from pushtasks.apns.notification import notification
from pushtasks.config import ApnsApp
from pushtasks.net.multiplexer import Multiplexer

#: Pushes of one bulk task.
BULK = 1000


def make_client(task: Task, multiplexer: Multiplexer) -> ApnsClient:
    app = ApnsApp(
        name="bench",
        topic=TOPIC,
        key=SecretStr(str(task.key_file)),
        key_id=task.key_id,
        team_id=task.team_id,
        server=task.url,
        ca_file=task.ca_file,
    )
    return ApnsClient(app, "production", multiplexer)


def send_with(client: ApnsClient, first: int, end: int) -> int:
    accepted = 0
    for begin in range(first, end, BULK):
        alert = notification(PAYLOAD, topic=TOPIC)
        pushes = [
            Push(checked(device_token(number)), alert, apns_id(number))
            for number in range(begin, min(begin + BULK, end))
        ]
        accepted += sum(verdict.reason is None for verdict in client.send(pushes))
    return accepted


if __name__ == "__main__":
    task = read_task()
    multiplexer = Multiplexer()
    client = make_client(task, multiplexer)
    report(task.pushes, lambda first, end: send_with(client, first, end))
    multiplexer.close()
