"""What the clients in Python share: the pushes, what they are told, and how CPU time is taken."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """What a client is told, as `name=value` arguments; `suite.contract` says what each means."""

    url: str
    ca_file: Path
    key_file: Path
    key_id: str
    team_id: str
    topic: str
    fcm_url: str
    service_account: Path
    pushes: int
    warm_up: int
    in_flight: int
    payload: int
    dead: int
    connections: int

    def apns_payload(self) -> dict[str, Any]:
        """Return a payload of as many bytes as asked for."""
        return {"aps": {"alert": "x" * (self.payload - len('{"aps":{"alert":""}}'))}}

    def device_token(self, number: int) -> str:
        """Return a device token; as many of a hundred as asked for are dead to the sinks."""
        if number * self.dead % 100 < self.dead:
            return f"dead{number:060x}"
        return f"{number:064x}"


def apns_id(number: int) -> str:
    return f"123e4567-e89b-42d3-a456-{number:012x}"


def read_job() -> Job:
    return parse_job(sys.argv[1:])


def parse_job(arguments: list[str]) -> Job:
    """Read `name=value` arguments."""
    told = dict(argument.split("=", 1) for argument in arguments)
    kinds: dict[str, Callable[[str], Any]] = {field.name: field.type for field in fields(Job)}  # type: ignore[misc]
    return Job(**{name: kinds[name](value) for name, value in told.items()})


def measure(job: Job, send: Callable[[int, int], int]) -> None:
    """Warm up, send the pushes, and print what they took.

    Args:
        job: How many pushes.
        send: Sends pushes from the first to before the second number; returns how many were
            accepted.
    """
    send(0, job.warm_up)
    cpu, wall = time.process_time(), time.perf_counter()
    accepted = send(job.warm_up, job.warm_up + job.pushes)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    tell(job, accepted, wall, cpu)


def tell(job: Job, accepted: int, seconds: float, cpu_seconds: float) -> None:
    """Print what was measured, in the form of the contract."""
    measured = {
        "pushes": job.pushes,
        "ok": accepted,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }
    print(json.dumps(measured))
