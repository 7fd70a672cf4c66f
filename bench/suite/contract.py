"""The contract between the runner and its clients: `name=value` in, one line of JSON out.

Each client runs in a process of its own. It sends the warm-up, then takes the time and sends the
pushes, and prints `{"pushes", "ok", "seconds", "cpu_seconds"}`: how many it sent, how many were
accepted, and what they took, in seconds of the clock and of the process's own CPU time, user and
system.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

TOPIC = "com.example.app"
#: Seconds that a client gets.
TIME_LIMIT = 180.0


class ClientError(Exception):
    """A client could not do what it was told; one line that says why."""


@dataclass(frozen=True, slots=True)
class Sink:
    """Where pushes go, and as whom."""

    #: `https://127.0.0.1:port`, or of a gateway `tls://127.0.0.1:port`.
    url: str
    #: PEM file of the authority to trust.
    ca_file: Path
    #: APNs signing key; of a gateway, the client's certificate and its key.
    key_file: Path
    key_id: str = ""
    team_id: str = ""
    #: Where messages to FCM go, and the JSON file of a Google service account.
    fcm_url: str = ""
    service_account: Path = Path()


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent."""

    pushes: int
    #: Pushes before the clock starts: connections, imports and compilers are then ready.
    warm_up: int = 2000
    in_flight: int = 100
    #: Bytes of the payload; of FCM, of the notification's text.
    payload: int = 110
    #: How many of a hundred device tokens are dead.
    dead: int = 0
    connections: int = 1

    @property
    def accepted(self) -> int:
        """How many of the pushes a sink accepts."""
        numbers = range(self.warm_up, self.warm_up + self.pushes)
        return sum(number * self.dead % 100 >= self.dead for number in numbers)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a client told of one run."""

    pushes: int
    ok: int
    seconds: float
    cpu_seconds: float

    @property
    def cpu_per_push(self) -> float:
        """Microseconds."""
        return self.cpu_seconds / self.pushes * 1e6

    @property
    def rate(self) -> float:
        """Pushes per second."""
        return self.pushes / self.seconds


def arguments(sink: Sink, load: Load) -> list[str]:
    """Return what a client is told."""
    told = {**asdict(sink), **asdict(load), "topic": TOPIC}
    return [f"{name}={value}" for name, value in told.items()]


def trust(sink: Sink) -> dict[str, str]:
    """Return variables that lead clients without an option for it to the sink's authority."""
    return dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(sink.ca_file))


def run_client(command: Sequence[str], sink: Sink, load: Load) -> Measured:
    """Let a client send in a process of its own.

    Raises:
        ClientError: It failed, or not all were accepted that should have been.
    """
    try:
        done = subprocess.run(
            [*command, *arguments(sink, load)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **trust(sink)},
            timeout=TIME_LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise ClientError(f"not done in {TIME_LIMIT:.0f} s") from None
    if done.returncode:
        raise ClientError(_last_line(done.stderr) or f"exit status {done.returncode}")
    measured = Measured(**json.loads(done.stdout))
    if measured.ok != load.accepted:
        told_why = _last_line(done.stderr)
        why = f" ({told_why})" if told_why else ""
        raise ClientError(f"{measured.ok} of {load.accepted} pushes were accepted{why}")
    return measured


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:200]
