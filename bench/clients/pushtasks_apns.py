"""Ours, as bulk tasks use it: checked notifications, a provider token, verdicts read."""

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from common import Job, measure, read_job
from pydantic import SecretStr

from pushtasks.apns.client import ApnsClient
from pushtasks.config import ApnsApp
from pushtasks.garbage import collect_seldom
from pushtasks.net.multiplexer import Multiplexer
from pushtasks.sending.addressing import apns_devices

#: Pushes of one bulk task.
BULK = 1000


def make_app(job: Job) -> ApnsApp:
    return ApnsApp(
        name="bench",
        topic=job.topic,
        key=SecretStr(str(job.key_file)),
        key_id=job.key_id,
        team_id=job.team_id,
        server=job.url,
        ca_file=job.ca_file,
        connections=job.connections,
    )


def make_client(job: Job, multiplexer: Multiplexer) -> ApnsClient:
    return ApnsClient(make_app(job), "production", multiplexer)


class BulkTasks:
    """As many threads as keep the pushes in flight that are asked for, each with a list."""

    def __init__(self, job: Job, app: ApnsApp, client: ApnsClient) -> None:
        self._job = job
        self._app = app
        self._client = client
        self._threads = ThreadPoolExecutor(max(1, 2 * job.in_flight // BULK))

    def send(self, first: int, end: int) -> int:
        """Send pushes from the first to before the second number; return how many were accepted."""
        begins = range(first, end, BULK)
        lists = (range(begin, min(begin + BULK, end)) for begin in begins)
        return sum(self._threads.map(self._task, lists))

    def _task(self, numbers: Iterable[int]) -> int:
        job, client = self._job, self._client
        entries = dict(enumerate(map(job.device_token, numbers)))
        arguments = {"payload": job.apns_payload()}
        devices = apns_devices(client, self._app, arguments, str(uuid.uuid4()), entries)
        return sum(verdict.reason is None for verdict in client.send(devices.pushes, is_list=True))


if __name__ == "__main__":
    job = read_job()
    multiplexer = Multiplexer()
    collect_seldom()  # as a worker does
    measure(job, BulkTasks(job, make_app(job), make_client(job, multiplexer)).send)
    multiplexer.close()
