"""Fan-out, from a file to the last answer: command line, broker, one worker; libcurl beside it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sinks import PLAIN
from suite.brokers import brokers, redis
from suite.contract import TIME_LIMIT, ClientError, Load, Measured
from suite.peers import BARE, OURS, Prepared
from suite.rounds import Case
from suite.toolchains import Missing
from suite.workers import Worker, worker

from sections import Setting, client_case
from sections.celery import worker_environment

#: The worker that the README recommends for fan-outs.
OPTIONS = ("-P", "threads", "-c", "2")
QUEUE = "push.bulk"
#: Devices for each push of a quick client, so that beginning and end weigh little.
SHARE = 20
#: A payload of 110 bytes.
PAYLOAD = {"aps": {"alert": "x" * (110 - len('{"aps":{"alert":""}}'))}}


@contextmanager
def cases(setting: Setting, prepared: Prepared) -> Iterator[list[Case]]:
    """Yield a case for each broker."""
    with ExitStack() as stack:
        sinks = stack.enter_context(setting.sinks(setting.directory, [PLAIN]))
        environment = worker_environment(setting.directory, sinks)
        redis_url = stack.enter_context(redis())
        made = []
        for broker, url in brokers(stack, setting.directory, redis_url):
            name = f"{broker}, one worker, 0 ms"
            if isinstance(url, Missing):
                made.append(Case(name, {}, BARE, {OURS: str(url)}))
                continue
            alone = client_case(name, prepared, sinks[PLAIN], Load(setting.pushes), BARE)
            made_worker = worker(setting.directory, url, redis_url, OPTIONS, environment)
            one = stack.enter_context(made_worker)
            one.listen(QUEUE)
            variables = {**one.variables, **environment}
            ours = FanOut(one, setting.directory, variables, SHARE * setting.pushes)
            contenders = {**alone.contenders, f"{OURS} fanout": ours.measure}
            made.append(replace(alone, contenders=contenders))
        yield made


@dataclass(frozen=True, slots=True)
class FanOut:
    """Runs of `pushtasks fanout`, each to the same devices."""

    worker: Worker
    directory: Path
    variables: Mapping[str, str]
    devices: int

    def measure(self) -> Measured:
        """Send to all devices; the time is that of the fan-out, the CPU time that of the worker.

        Raises:
            ClientError: It failed, or not everything was accepted.
        """
        self._run(self.file(self.devices // 10))
        path, cpu, began = self.file(self.devices), self.worker.cpu_seconds, time.perf_counter()
        totals = self._run(path)
        seconds = time.perf_counter() - began
        return Measured(
            totals["devices"], totals["accepted"], seconds, self.worker.cpu_seconds - cpu
        )

    def file(self, devices: int) -> Path:
        """Return a file with so many devices."""
        path = self.directory / f"{devices}.txt"
        if not path.exists():
            path.write_text("".join(f"{number:064x}\n" for number in range(devices)))
        return path

    def command(self, path: Path) -> list[str | Path]:
        """Return what sends to the devices in a file."""
        command = [Path(sys.executable).with_name("pushtasks"), "fanout", "apns", "--app", "near"]
        return [*command, "--tokens", path, "--payload", json.dumps(PAYLOAD), "--json"]

    def _run(self, path: Path) -> dict[str, int]:
        try:
            done = subprocess.run(
                self.command(path),
                env=dict(self.variables),
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT,
                check=False,
            )
            totals: dict[str, int] = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise ClientError(f"a fan-out did not end: {error}"[:200]) from None
        if done.returncode:
            raise ClientError(f"a fan-out failed: {done.stderr[-200:]}")
        return totals
