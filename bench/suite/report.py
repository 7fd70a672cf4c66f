"""What was measured, as tables and as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from sections.memory import Look

from suite.goals import Goal, judge
from suite.rounds import Outcome, Result


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one run."""

    machine: Mapping[str, str]
    peers: Mapping[str, str]
    #: Options of the command line.
    options: Mapping[str, Any]
    results: Sequence[Result]
    looks: Sequence[Look]

    def save(self, path: Path) -> None:
        """Write everything as JSON, each round included."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": self.machine,
            "peers": self.peers,
            "options": self.options,
            "results": [_result(result) for result in self.results],
            "memory": [asdict(look) for look in self.looks],
            "goals": [
                {"goal": goal.text(), "ratio": ratio, "is_met": goal.is_met(ratio)}
                for goal, ratio in judge(self.results)
            ],
        }
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def drawn(self) -> RenderableType:
        """Return everything for a terminal."""
        parts: list[RenderableType] = [_pairs("Machine", self.machine)]
        if self.peers:
            parts.append(_pairs("Clients", self.peers))
        for section, results in groupby(self.results, lambda result: result.section):
            parts.append(_section_table(section, results))
        if self.looks:
            parts.append(_memory_table(self.looks))
        judged = judge(self.results)
        if judged:
            parts.append(_goal_table(judged))
        parts.append(_troubles(self.results))
        return Group(*parts)


def _result(result: Result) -> dict[str, Any]:
    return {
        "section": result.section,
        "case": result.case,
        "yardstick": result.yardstick,
        "contenders": [_contender(each, result) for each in result.outcomes],
    }


def _contender(outcome: Outcome, result: Result) -> dict[str, Any]:
    told: dict[str, Any] = {"name": outcome.name, "trouble": outcome.trouble}
    if not outcome.rounds:
        return told
    told |= {"cpu_per_push": outcome.cpu_per_push, "pushes_per_second": outcome.rate}
    yardstick = result.outcome(result.yardstick)
    if yardstick:
        told |= {"cpu_ratio": outcome.cpu_to(yardstick), "rate_ratio": outcome.rate_to(yardstick)}
    return told | {"rounds": [asdict(measured) for measured in outcome.rounds]}


def _pairs(title: str, pairs: Mapping[str, str]) -> Table:
    drawn = Table(title=title, title_justify="left", show_header=False)
    for name, value in pairs.items():
        drawn.add_row(name, value)
    return drawn


def _section_table(section: str, results: Iterable[Result]) -> Table:
    drawn = Table(title=section, title_justify="left")
    drawn.add_column("case")
    drawn.add_column("")
    for column in ("µs CPU per push", "ratio", "pushes/s", "ratio"):
        drawn.add_column(column, justify="right")
    for result in results:
        yardstick = result.outcome(result.yardstick)
        for outcome in result.outcomes:
            first = outcome is result.outcomes[0]
            figures = _figures(outcome, yardstick)
            drawn.add_row(result.case if first else "", outcome.name, *figures)
        drawn.add_section()
    return drawn


def _troubles(results: Iterable[Result]) -> RenderableType:
    lines = [
        f"{result.section}, {result.case}: {outcome.name} {outcome.trouble}"
        for result in results
        for outcome in result.outcomes
        if outcome.trouble
    ]
    return Text("\n".join(lines))


def _figures(outcome: Outcome, yardstick: Outcome | None) -> Iterable[str]:
    if not outcome.rounds:
        return [(outcome.trouble or "").partition(":")[0]] + [""] * 3
    cpu, rate = f"{outcome.cpu_per_push:,.1f}", f"{outcome.rate:,.0f}"
    if not yardstick:
        return cpu, "", rate, ""
    return cpu, f"{outcome.cpu_to(yardstick):.2f}", rate, f"{outcome.rate_to(yardstick):.2f}"


def _memory_table(looks: Iterable[Look]) -> Table:
    drawn = Table(title="memory during a fan-out, MiB", title_justify="left")
    for column in ("devices", "publisher", "worker", "Redis"):
        drawn.add_column(column, justify="right")
    for look in looks:
        figures = (look.publisher, look.worker, look.redis)
        drawn.add_row(f"{look.devices:,}", *(f"{figure:.1f}" for figure in figures))
    return drawn


def _goal_table(judged: Iterable[tuple[Goal, float]]) -> Table:
    drawn = Table(title="Goals", title_justify="left")
    for column in ("where", "goal", "measured", ""):
        drawn.add_column(column)
    for goal, ratio in judged:
        sign = Text("✓", "green") if goal.is_met(ratio) else Text("✗", "red")
        drawn.add_row(f"{goal.section}: {goal.case}", goal.text(), f"{ratio:.3g}", sign)
    return drawn
