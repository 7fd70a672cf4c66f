"""Compare push clients with each other on this machine, each in a process of its own."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from sections import Setting, celery, client, fanout, fcm, gateway, latency, memory, overhead
from sinks import SinkError, emulator, nginx
from suite.contract import ClientError
from suite.machine import describe
from suite.peers import APNS, BARE, FCM, GATEWAY, GO, LAYERS, OURS, prepare
from suite.plot import draw
from suite.report import Report
from suite.rounds import Result, measure

RESULTS = Path(__file__).parent / "results"
#: Sections that compare contenders, and the peers that take part.
COMPARED = {
    "client": (client.cases, APNS),
    "overhead": (overhead.cases, LAYERS),
    "fcm": (fcm.cases, FCM),
    "gateway": (gateway.cases, GATEWAY),
    "latency": (latency.cases, [peer for peer in APNS if peer.name in {BARE, OURS, GO}]),
    "fanout": (fanout.cases, [peer for peer in APNS if peer.name == BARE]),
    "celery": (celery.cases, [peer for peer in APNS if peer.name in {BARE, OURS}]),
}
MEMORY = "memory"
SECTIONS = (*COMPARED, MEMORY)
SINKS = {"nginx": nginx.sinks, "emulator": emulator.sinks}


class Names(click.ParamType):
    """Names with commas between them."""

    name = "names"

    def __init__(self, known: Iterable[str]) -> None:
        self._known = tuple(dict.fromkeys(known))

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[str]:
        """Check that all names are known."""
        if isinstance(value, frozenset):
            return value
        names = frozenset(name.strip() for name in str(value).split(",") if name.strip())
        unknown = sorted(names - set(self._known))
        if unknown:
            self.fail(f"{unknown[0]!r} is none of {', '.join(self._known)}", param, ctx)
        return names


PEERS = Names(peer.name for _, peers in COMPARED.values() for peer in peers)


@click.command(epilog="Example: python bench/run.py --only client,latency --rounds 5")
@click.option("--only", type=Names(SECTIONS), default=",".join(SECTIONS), show_default=True)
@click.option("--clients", type=PEERS, default="", help="Of these only.  [default: all]")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="The medians of so many rounds count.",
)
@click.option(
    "--pushes",
    type=click.IntRange(min=1000),
    default=30_000,
    show_default=True,
    help="Per run of a quick client; slow ones get their part of it.",
)
@click.option("--sink", type=click.Choice(list(SINKS)), default="nginx", show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--plot", "plot_file", type=click.Path(path_type=Path, dir_okay=False))
def main(
    *,
    only: frozenset[str],
    clients: frozenset[str],
    rounds: int,
    pushes: int,
    sink: str,
    json_file: Path | None,
    plot_file: Path | None,
) -> None:
    """Compare push clients with each other on this machine, side by side.

    Results are printed, and kept as JSON and as a PNG in bench/results/ unless files are named.
    """
    console = Console()
    with console.status("") as status:
        run = Run(rounds, pushes, sink, clients, status.update)
        try:
            run.run(only)
        finally:  # what has been measured by then is kept, whatever went wrong
            if run.results or run.looks:
                options = {"pushes": pushes, "rounds": rounds, "sink": sink, "only": sorted(only)}
                report = Report(describe(), run.versions, options, run.results, run.looks)
                keep(report, console, json_file, plot_file)


def keep(report: Report, console: Console, json_file: Path | None, plot_file: Path | None) -> None:
    """Print a report and save it."""
    console.print(report.drawn())
    unnamed = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    json_file, plot_file = json_file or unnamed, plot_file or unnamed.with_suffix(".png")
    report.save(json_file)
    draw(report, plot_file)
    console.print(f"Saved as {json_file} and {plot_file}", soft_wrap=True)


@dataclass(slots=True)
class Run:
    """Runs sections one after the other, and keeps what comes of them."""

    rounds: int
    pushes: int
    #: The name of the sink.
    sink: str
    #: The names of the peers; empty: all.
    clients: frozenset[str]
    #: Is told what is going on.
    tell: Callable[[str], None]
    versions: dict[str, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    looks: list[memory.Look] = field(default_factory=list)

    def run(self, only: Collection[str]) -> None:
        """Run these sections."""
        for section in COMPARED:
            if section in only:
                self.compare(section)
        if MEMORY in only:
            self.look()

    def compare(self, section: str) -> None:
        """Measure all contenders of a section."""
        cases, peers = COMPARED[section]
        prepared = prepare(peers, self.clients, lambda name: self.tell(f"Preparing {name}"))
        self.versions |= prepared.versions
        with self._setting(section) as setting, cases(setting, prepared) as made:
            self.results += measure(section, made, self.rounds, self.tell)

    def look(self) -> None:
        """Look at the memory of all who take part in a fan-out."""
        self.tell("Looking at the memory that a fan-out takes")
        with self._setting(MEMORY) as setting:
            self.looks = memory.looks(setting)

    @contextmanager
    def _setting(self, section: str) -> Iterator[Setting]:
        with tempfile.TemporaryDirectory() as name:
            is_nginx = SINKS[self.sink] is nginx.sinks
            try:
                yield Setting(self.pushes, SINKS[self.sink], Path(name), knows_dead=is_nginx)
            except (SinkError, ClientError) as error:
                raise click.ClickException(f"{section}: {error}") from None


if __name__ == "__main__":
    main()
