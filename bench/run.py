"""CPU per push of our APNs client beside others, all sending to the same sink in turns."""

import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pycurl
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sink import SinkError, sink

HERE = Path(__file__).parent
YARDSTICK, OURS, AIOAPNS = "bare pycurl", "pushtasks", "aioapns"
CLIENTS = {
    YARDSTICK: "bare_pycurl.py",
    OURS: "pushtasks_client.py",
    AIOAPNS: "aioapns_client.py",
}
#: aioapns sends so many times fewer pushes: it is that much slower, and its CPU per push the same.
FEWER = 10
#: The most CPU that ours may take: of the yardstick's, and of aioapns'.
GOALS = {YARDSTICK: 1.3, AIOAPNS: 1 / 8}

Rounds = dict[str, list[dict[str, float]]]


@click.command(epilog="Example: python bench/run.py --pushes 20000 --rounds 3")
@click.option(
    "--pushes",
    type=click.IntRange(min=100),
    default=30_000,
    show_default=True,
    help="Pushes per client and round; aioapns gets a tenth.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Rounds; the medians count.",
)
def main(pushes: int, rounds: int) -> None:
    """Compare the CPU time and the rate of APNs clients that send to nginx on this machine."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            with sink(directory) as port:
                measured = measure(task(directory, port), pushes, rounds)
        except SinkError as error:
            raise click.ClickException(str(error)) from None
    medians = {client: median(results) for client, results in measured.items()}
    Console().print(table(medians))
    path = save(measured, medians, pushes)
    Console().print(f"Saved as {path}")


def task(directory: Path, port: int) -> dict[str, Any]:
    """Return what every contender is told, but for the number of pushes."""
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (directory / "key.p8").write_bytes(key)
    return {
        "port": port,
        "ca_file": str(directory / "ca.pem"),
        "key_file": str(directory / "key.p8"),
        "key_id": "ABC1234567",
        "team_id": "TEAM123456",
    }


def measure(told: dict[str, Any], pushes: int, rounds: int) -> Rounds:
    """Let all clients send in turns, so that what disturbs one disturbs the others too."""
    measured: Rounds = defaultdict(list)
    with Progress() as progress:
        running = progress.add_task("Sending", total=rounds * len(CLIENTS))
        for _ in range(rounds):
            for client in CLIENTS:
                count = pushes // FEWER if client == AIOAPNS else pushes
                measured[client].append(run(client, {**told, "pushes": count}))
                progress.advance(running)
    return measured


def run(client: str, told: dict[str, Any]) -> dict[str, float]:
    """Run one client in a process of its own and return what it measured."""
    command = [sys.executable, str(HERE / "clients" / CLIENTS[client]), json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{client} failed:\n{done.stderr}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def median(results: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in results) for key in results[0]}


def table(medians: dict[str, dict[str, float]]) -> Table:
    drawn = Table(title="APNs over HTTP/2 and TLS, nginx as sink, one connection (medians)")
    for column in ("client", "µs CPU per push", "to pycurl", "pushes/s", "goal for ours"):
        drawn.add_column(column, justify="left" if column == "client" else "right")
    for client, result in medians.items():
        cpu = result["cpu_per_push"]
        drawn.add_row(
            client,
            f"{cpu:.1f}",
            f"{cpu / medians[YARDSTICK]['cpu_per_push']:.2f}",
            f"{result['pushes_per_second']:,.0f}",
            goal(client, medians),
        )
    return drawn


def goal(client: str, medians: dict[str, dict[str, float]]) -> str:
    """Return what ours takes of this client's CPU, and what it may take."""
    if client not in GOALS:
        return ""
    share = medians[OURS]["cpu_per_push"] / medians[client]["cpu_per_push"]
    sign = "[green]✓[/]" if share <= GOALS[client] else "[red]✗[/]"
    return f"{share:.3f} ≤ {GOALS[client]:.3f} {sign}"


def save(measured: Rounds, medians: dict[str, dict[str, float]], pushes: int) -> Path:
    now = datetime.now(UTC)
    path = HERE / "results" / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(exist_ok=True)
    content = {
        "at": now.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.platform(),
        "pycurl": pycurl.version,
        "pushes": pushes,
        "medians": medians,
        "rounds": measured,
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


if __name__ == "__main__":
    main()
