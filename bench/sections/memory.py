"""Memory of publisher, worker and Redis during one fan-out, against the devices sent to by then."""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from celery import Celery
from redis import Redis
from sinks import PLAIN
from suite.brokers import redis
from suite.contract import TIME_LIMIT, ClientError
from suite.processes import memory
from suite.workers import Worker, worker

from pushtasks import fanout
from sections import Setting
from sections.celery import worker_environment
from sections.fanout import OPTIONS, QUEUE, FanOut

#: Devices, and for each push of a quick client at the most.
DEVICES = 1_000_000
SHARE = 40
#: Seconds between two looks.
INTERVAL = 1.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Look:
    """One look: devices sent to by then, and MiB of resident memory."""

    devices: int
    publisher: float
    worker: float
    redis: float


def looks(setting: Setting) -> list[Look]:
    """Let a worker send to all devices of a file, and look in between.

    Raises:
        ClientError: The fan-out failed.
    """
    with setting.sinks(setting.directory, [PLAIN]) as sinks, redis() as url:
        environment = worker_environment(setting.directory, sinks)
        with worker(setting.directory, f"{url}/0", url, OPTIONS, environment) as one:
            one.listen(QUEUE)
            devices = min(DEVICES, SHARE * setting.pushes)
            run = FanOut(one, setting.directory, {**one.variables, **environment}, devices)
            return list(_watched(run, one, url))


def _watched(run: FanOut, one: Worker, redis_url: str) -> Iterator[Look]:
    app = Celery("bench")
    app.conf.pushtasks = {"redis_url": f"{redis_url}/1"}
    command, limit = run.command(run.file(run.devices)), time.monotonic() + TIME_LIMIT
    with (
        Redis.from_url(redis_url) as server,
        subprocess.Popen(command, env=dict(run.variables), stdout=subprocess.PIPE) as publisher,
    ):
        try:
            while publisher.poll() is None and time.monotonic() < limit:
                yield _look(app, publisher.pid, one, server)
                time.sleep(INTERVAL)
            totals: dict[str, Any] = json.loads(publisher.communicate(timeout=INTERVAL)[0])
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise ClientError(f"a fan-out did not end: {error}"[:200]) from None
        finally:
            publisher.kill()
    if totals["accepted"] != run.devices:
        raise ClientError(f"{totals['accepted']} of {run.devices} devices accepted it")


def _look(app: Celery, publisher: int, one: Worker, server: "Redis[bytes]") -> Look:
    accepted = sum(each.accepted for each in fanout.recent(1, celery_app=app))
    in_redis = server.info("memory")["used_memory"]
    return Look(accepted, memory(publisher) / MIB, one.memory / MIB, in_redis / MIB)
