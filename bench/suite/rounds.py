"""Measures contenders in turns, round after round, so that what disturbs one disturbs all."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from suite.contract import ClientError, Measured


@dataclass(frozen=True, slots=True)
class Case:
    """Contenders that do the same; their figures may be compared."""

    name: str
    contenders: Mapping[str, Callable[[], Measured]]
    #: The contender to which all are compared.
    yardstick: str
    #: Contenders that cannot run, and why.
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outcome:
    """What one contender of a case did, over all rounds."""

    name: str
    rounds: list[Measured] = field(default_factory=list)
    #: Why there are no figures, or no more.
    trouble: str | None = None

    @property
    def cpu_per_push(self) -> float:
        """Median over the rounds, in microseconds."""
        return statistics.median(each.cpu_per_push for each in self.rounds)

    @property
    def rate(self) -> float:
        """Median over the rounds, in pushes per second."""
        return statistics.median(each.rate for each in self.rounds)

    def cpu_to(self, other: "Outcome") -> float:
        """Return the median of CPU per push to another's in the same round."""
        return _median_ratio(self, other, lambda measured: measured.cpu_per_push)

    def rate_to(self, other: "Outcome") -> float:
        """Return the median of the rate to another's in the same round."""
        return _median_ratio(self, other, lambda measured: measured.rate)


@dataclass(frozen=True, slots=True)
class Result:
    """A case and what its contenders did."""

    section: str
    case: str
    yardstick: str
    outcomes: tuple[Outcome, ...]

    def outcome(self, name: str) -> Outcome | None:
        """Return what a contender did, if it has done anything."""
        return next((each for each in self.outcomes if each.name == name and each.rounds), None)


def measure(
    section: str, cases: Sequence[Case], rounds: int, advance: Callable[[str], None]
) -> list[Result]:
    """Run all contenders of all cases in each round; one that fails is left out from then on.

    Args:
        section: What the results are filed under.
        cases: In the order in which they are run.
        rounds: How many.
        advance: Is told of each run what it is, before it begins.
    """
    results = [_empty(section, case) for case in cases]
    for _ in range(rounds):
        for case, result in zip(cases, results, strict=True):
            for outcome in result.outcomes:
                if outcome.trouble is None:
                    advance(f"{section}, {case.name}: {outcome.name}")
                    _run(case.contenders[outcome.name], outcome)
    return results


def _empty(section: str, case: Case) -> Result:
    outcomes = [Outcome(name) for name in case.contenders]
    outcomes += [Outcome(name, trouble=f"skipped: {why}") for name, why in case.missing.items()]
    return Result(section, case.name, case.yardstick, tuple(outcomes))


def _run(contender: Callable[[], Measured], outcome: Outcome) -> None:
    try:
        outcome.rounds.append(contender())
    except ClientError as error:
        outcome.trouble = f"failed: {error}"


def _median_ratio(ours: Outcome, theirs: Outcome, figure: Callable[[Measured], float]) -> float:
    pairs = zip(ours.rounds, theirs.rounds, strict=False)
    return statistics.median(figure(one) / figure(other) for one, other in pairs)
