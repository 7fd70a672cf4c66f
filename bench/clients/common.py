"""What all contenders share: the pushes, the settings, and how CPU time is taken."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TOPIC = "com.example.app"
PAYLOAD = {"aps": {"alert": "x" * 86}}
#: Pushes sent before the clock starts: connections, imports and handles are then ready.
WARM_UP = 2000
IN_FLIGHT = 100


@dataclass(frozen=True, slots=True)
class Task:
    """What a contender is told by the runner, as JSON in its only argument."""

    port: int
    ca_file: Path
    key_file: Path
    key_id: str
    team_id: str
    pushes: int

    @property
    def url(self) -> str:
        """The sink as an origin."""
        return f"https://127.0.0.1:{self.port}"


def device_token(number: int) -> str:
    return f"{number:064x}"


def apns_id(number: int) -> str:
    return f"123e4567-e89b-42d3-a456-{number:012x}"


def read_task() -> Task:
    told = json.loads(sys.argv[1])
    return Task(**{**told, "ca_file": Path(told["ca_file"]), "key_file": Path(told["key_file"])})


def report(pushes: int, send: Callable[[int, int], int]) -> None:
    """Warm up, send the pushes, and print what they took.

    Args:
        pushes: How many are counted.
        send: Sends pushes from the first to before the second number; returns how many were
            accepted.
    """
    send(0, WARM_UP)
    cpu, wall = time.process_time(), time.perf_counter()
    accepted = send(WARM_UP, WARM_UP + pushes)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if accepted != pushes:
        sys.exit(f"only {accepted} of {pushes} pushes were accepted")
    print(json.dumps({"cpu_per_push": cpu / pushes * 1e6, "pushes_per_second": pushes / wall}))
