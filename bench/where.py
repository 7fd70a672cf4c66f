"""Where a Python client's CPU time goes, by function: its own, with the C code that it calls."""

import json
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from sinks import PLAIN, SinkError, nginx
from suite.contract import Load, Measured, arguments
from suite.toolchains import CLIENTS, Missing, python, tool

#: Samples in a second; a prime, to be in step with nothing.
FREQUENCY = 499
#: Microseconds below which a function is not worth a row.
LEAST = 0.1
#: A thread that has been woken and waits for the interpreter looks busy, and does nothing.
WAITING = "Condition.wait"
#: The samples include it.
WARM_UP = 1000


@click.command(epilog="Example: python bench/where.py pushtasks_apns.py")
@click.argument("client", type=click.Choice(sorted(path.name for path in CLIENTS.glob("*.py"))))
@click.option("--pushes", type=click.IntRange(min=10_000), default=200_000, show_default=True)
@click.option("--lines", is_flag=True, help="By line instead of by function.")
def main(client: str, pushes: int, *, lines: bool) -> None:
    """Run a client under py-spy and show the microseconds per push of each function."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            with nginx.sinks(directory, [PLAIN]) as sinks:
                told = arguments(sinks[PLAIN], Load(pushes, warm_up=WARM_UP))
                measured, samples = profile(client, told, directory / "samples", lines=lines)
        except (Missing, SinkError) as error:
            raise click.ClickException(str(error)) from None
    Console().print(drawn(client, measured, samples))


def profile(
    client: str, told: list[str], output: Path, *, lines: bool
) -> tuple[Measured, Counter[str]]:
    """Return what the client told, and how often each function was seen running.

    Raises:
        Missing: py-spy is not installed, or may not look at its own child.
    """
    command = python(client).command
    options = ["--rate", str(FREQUENCY), "--format", "raw", "--output", str(output)]
    options += [] if lines else ["--function"]
    done = subprocess.run(
        [tool("py-spy"), "record", *options, "--", *command, *told],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"^\{.*\}$", done.stdout, re.MULTILINE)
    if not found:
        raise Missing(f"py-spy: {(done.stderr.strip().splitlines() or ['said nothing'])[-1]}")
    samples: Counter[str] = Counter()
    for line in output.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        function = stack.rpartition(";")[2]
        if "importlib" not in stack and not function.startswith(WAITING):
            samples[function] += int(count)
    return Measured(**json.loads(found[0])), samples


def drawn(client: str, measured: Measured, samples: Counter[str]) -> Table:
    table = Table(title=f"{client}: {measured.cpu_per_push:.1f} µs CPU per push")
    table.add_column("µs", justify="right")
    table.add_column("in")
    total = samples.total()
    for name, count in samples.most_common():
        share = measured.cpu_per_push * count / total
        if share >= LEAST:
            table.add_row(f"{share:.2f}", name)
    return table


if __name__ == "__main__":
    main()
