"""What was measured, as one picture; it needs matplotlib."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from suite.peers import OURS
from suite.report import Report
from suite.rounds import Outcome, Result

OUR_COLOUR, THEIR_COLOUR = "#2563a8", "#b8bec6"
DELAY_CASES = " ms"
FAR_APART = frozenset({"client", "fcm"})
COMPARED_BY_CPU = frozenset({"client", "overhead", "fcm", "gateway"})
#: Inches.
WIDTH, HEIGHT = 9.0, 4.2

Panel = Callable[[Any], None]


def draw(report: Report, path: Path) -> None:
    """Write a PNG with a panel for each section of which there are figures."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second, for this alone

    panels = _panels(report)
    if not panels:
        return
    figure = Figure(figsize=(WIDTH, HEIGHT * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), squeeze=False)
    for panel, (axes,) in zip(panels, grid, strict=True):
        panel(axes)
        axes.spines[["top", "right"]].set_visible(False)
    about = report.machine
    figure.suptitle(f"{about['processor']}, {about['cores']} cores, {about['python']}", fontsize=9)
    figure.savefig(path, dpi=150)


def _panels(report: Report) -> list[Panel]:
    panels: list[Panel] = [
        _bars(
            f"{result.section}: {result.case}",
            "µs CPU per push",
            [result],
            _cpu,
            is_log=result.section in FAR_APART,
        )
        for result in report.results
        if result.section in COMPARED_BY_CPU
    ]
    through = [result for result in report.results if result.section == "celery"]
    singles = [result for result in through if not result.case.startswith("lists")]
    for title, results in (
        ("celery: single pushes", singles),
        ("celery: lists", [result for result in through if result not in singles]),
    ):
        if results:
            panels.append(_bars(title, "pushes per second", results, _rate))
    delays = [one for one in report.results if one.section == "latency" and _is_delay(one)]
    if delays:
        panels.append(lambda axes: _lines(axes, delays))
    if report.looks:
        panels.append(lambda axes: _memory(axes, report))
    return panels


def _is_delay(result: Result) -> bool:
    return result.case.endswith(DELAY_CASES)


def _cpu(outcome: Outcome) -> float:
    return outcome.cpu_per_push


def _rate(outcome: Outcome) -> float:
    return outcome.rate


def _bars(
    title: str,
    label: str,
    results: Sequence[Result],
    figure: Callable[[Outcome], float],
    *,
    is_log: bool = False,
) -> Panel:
    named = [
        (f"{result.case}: {each.name}" if len(results) > 1 else each.name, each)
        for result in results
        for each in result.outcomes
        if each.rounds
    ][::-1]

    def panel(axes: Any) -> None:
        names, lengths = [name for name, _ in named], [figure(each) for _, each in named]
        colours = [OUR_COLOUR if OURS in each.name else THEIR_COLOUR for _, each in named]
        axes.bar_label(axes.barh(names, lengths, color=colours), fmt="{:,.0f}", padding=3)
        axes.set(title=title, xlabel=label + (" (log)" if is_log else ""))
        axes.margins(x=0.15)
        if is_log:
            axes.set(xscale="log", xlim=(1, 3 * max(lengths)))

    return panel


def _lines(axes: Any, results: Sequence[Result]) -> None:
    for name in dict.fromkeys(each.name for result in results for each in result.outcomes):
        points = [
            (float(result.case.removesuffix(DELAY_CASES)), outcome.rate)
            for result in results
            if (outcome := result.outcome(name))
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(
        title="latency: one connection, up to 1,000 in flight",
        xlabel="ms until the sink answers",
        ylabel="pushes per second",
        ylim=(0, None),
    )
    axes.legend()


def _memory(axes: Any, report: Report) -> None:
    devices = [look.devices for look in report.looks]
    for name in ("publisher", "worker", "redis"):
        axes.plot(devices, [getattr(look, name) for look in report.looks], label=name)
    axes.legend()
    axes.set(
        title="memory during a fan-out by one worker",
        xlabel="devices sent to",
        ylabel="MiB resident",
        ylim=(0, None),
    )
