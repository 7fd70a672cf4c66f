"""A real worker, fed from queues that are full before it is told to listen to them.

So the worker alone is measured, and not whoever publishes.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery
from kombu import pools
from redis import Redis

from suite.contract import ClientError, Measured
from suite.processes import cpu_seconds, memory

_BENCH = Path(__file__).parent.parent
#: Folders, besides those that Python knows by itself.
IMPORTED_FROM = (_BENCH / "worker", _BENCH / "clients", os.environ.get("PYTHONPATH", ""))
#: Seconds that a worker gets to start, and for one run.
LIMIT = 90.0
#: Seconds between looks at how many results there are.
INTERVAL = 0.01
#: A queue for a worker that is to do nothing yet.
IDLE = "bench.idle"
#: A task that does nothing.
STARTING_SHOT = "bench.nothing"
_queues = itertools.count(1)
#: Databases of Redis: 0 is the broker's, 1 what pushtasks keeps.
_databases = itertools.count(2)


@dataclass(frozen=True, slots=True)
class Work:
    """Calls of one task."""

    task: str
    calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]
    pushes_per_call: int = 1
    #: The part of the results between which the time is taken. Single calls: without the first,
    #: which find the worker idle, and the last, which leave it so. Lists: all.
    begin: float = 0.1
    end: float = 0.9

    def warm_up(self) -> "Work":
        """Return a tenth of it, of which no time is taken."""
        calls = self.calls[: max(1, len(self.calls) // 10)]
        return replace(self, calls=calls, begin=0.0, end=1.0)


class Worker:
    """A worker process and the way to feed it."""

    def __init__(
        self,
        name: str,
        pid: int,
        app: Celery,
        results: "Redis[bytes]",
        variables: Mapping[str, str],
    ) -> None:
        #: What whoever is to use the same broker and Redis has to have in its environment.
        self.variables = variables
        self._name = name
        self._pid = pid
        self._app = app
        self._results = results
        self._warm: set[tuple[str, str]] = set()

    @property
    def memory(self) -> int:
        """Bytes of resident memory, children included."""
        return memory(self._pid)

    @property
    def cpu_seconds(self) -> float:
        """CPU time, children included."""
        return cpu_seconds(self._pid)

    def listen(self, queue: str) -> None:
        """Have it take tasks of one more queue from now on."""
        self._app.control.add_consumer(queue, reply=True, destination=[self._name])

    def measure(self, work: Work) -> Measured:
        """Let the worker do the work, and return what it took; the first time, it warms up.

        Raises:
            ClientError: It took too long, or not everything was accepted.
        """
        task = (work.task, str(work.calls[0][1]))
        if task not in self._warm:
            self._warm.add(task)
            self._measure(work.warm_up())
        return self._measure(work)

    def _measure(self, work: Work) -> Measured:
        queue = f"bench.{next(_queues)}"
        self._results.flushdb()
        self._publish(queue, work)
        total = len(work.calls)
        self._app.control.add_consumer(queue, reply=False, destination=[self._name])
        try:
            first, begun = self._reach(int(work.begin * total)), time.perf_counter()
            cpu = cpu_seconds(self._pid)
            last, ended = self._reach(int(work.end * total)), time.perf_counter()
            cpu = cpu_seconds(self._pid) - cpu
            self._reach(total)
        finally:
            self._app.control.cancel_consumer(queue, destination=[self._name])
        self._check(work)
        pushes = (last - first) * work.pushes_per_call
        return Measured(pushes, pushes, ended - begun, cpu)

    def _publish(self, queue: str, work: Work) -> None:
        with self._app.producer_or_acquire() as producer:
            send = partial(self._app.send_task, queue=queue, producer=producer)
            # The starting shot: a worker may take a second to notice that it has another queue.
            send(STARTING_SHOT, ["", ""])
            for arguments, named in work.calls:
                send(work.task, arguments, named)

    def _reach(self, count: int) -> int:
        """Wait for the starting shot and as many results; return how many there are."""
        limit = time.monotonic() + LIMIT
        while (done := self._results.dbsize() - 1) < count:
            if time.monotonic() > limit:
                raise ClientError(f"{done} of {count} tasks were done in {LIMIT:.0f} s")
            time.sleep(INTERVAL)
        return done

    def _check(self, work: Work) -> None:
        stored = [json.loads(each) for each in self._results.mget(self._results.keys()) if each]
        accepted = sum(_accepted(each) for each in stored) - 1  # the starting shot
        expected = len(work.calls) * work.pushes_per_call
        if accepted != expected:
            why = next((each["result"] for each in stored if not _accepted(each)), "no result")
            raise ClientError(f"{accepted} of {expected} pushes were accepted ({str(why)[:200]})")


@contextmanager
def worker(
    directory: Path,
    broker_url: str,
    redis_url: str,
    options: Sequence[str],
    environment: Mapping[str, str],
) -> Iterator[Worker]:
    """Run a worker of the ready-made app that also knows the tasks in `worker/`.

    Args:
        directory: For its log.
        broker_url: Where its tasks wait.
        redis_url: A Redis without database, for results and for what pushtasks keeps.
        options: Pool and concurrency, as on the command line.
        environment: Further variables.

    Raises:
        ClientError: It does not start.
    """
    number = next(_databases)
    results_url, log = f"{redis_url}/{number}", directory / f"worker-{number}.log"
    name = f"bench{number}@localhost"
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, IMPORTED_FROM)),
        "PUSHTASKS_BROKER_URL": broker_url,
        "PUSHTASKS_RESULT_BACKEND": results_url,
        "PUSHTASKS_REDIS_URL": f"{redis_url}/1",
        **environment,
    }
    app = Celery("bench", broker=broker_url)
    command = [sys.executable, "-m", "celery", "-A", "pushtasks", "worker", "-I", "bench_tasks"]
    command += ["-Q", IDLE, "-n", name, "-l", "WARNING", "--without-gossip", "--without-mingle"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, *options], cwd=directory, env=variables, stdout=output, stderr=output
        ) as process,
        app,
    ):
        try:
            _wait_for(app, name, process, log)
            yield Worker(name, process.pid, app, Redis.from_url(results_url), variables)
        finally:
            process.terminate()
            pools.reset()  # or another broker on the same port would be taken for this one


def _wait_for(app: Celery, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    limit = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < limit:
        if app.control.ping([name], timeout=0.5, limit=1):
            return
    said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
    raise ClientError(f"a worker did not start: {said[-1][:200]}")


def _accepted(stored: Mapping[str, Any]) -> int:
    """Return how many pushes a stored result says were accepted."""
    if stored["status"] != "SUCCESS":
        return 0
    result = stored["result"]
    if isinstance(result, dict):
        accepted: int = result.get("accepted", result.get("outcome") == "accepted")
        return accepted
    return bool(result)
