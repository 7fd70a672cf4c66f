"""What ours is to reach beside others, in the same round of the same run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from suite.peers import AIOAPNS, BARE, FIREBASE, GO, OURS
from suite.rounds import Outcome, Result


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio of two contenders of a case, and its limit."""

    section: str
    case: str
    ours: str
    theirs: str
    figure: str
    limit: float

    @property
    def is_least(self) -> bool:
        """Whether the limit is the least and not the most."""
        return self.figure == RATE

    def is_met(self, ratio: float) -> bool:
        """Return whether a ratio is within the limit."""
        return ratio >= self.limit if self.is_least else ratio <= self.limit

    def text(self) -> str:
        """Return the goal in words."""
        sign = "≥" if self.is_least else "≤"
        return f"{self.ours}: {self.figure} {sign} {self.limit:g} times that of {self.theirs}"


CPU, RATE = "CPU per push", "rate"
_RATIOS: dict[str, Callable[[Outcome, Outcome], float]] = {
    CPU: Outcome.cpu_to,
    RATE: Outcome.rate_to,
}
_CLIENT = ("client", "1 connection, 110 bytes", OURS)
_LISTS = ("celery", "Redis, lists of 1,000, 0 ms", f"{OURS} through Celery", BARE)
_FANOUT = ("fanout", "Redis, one worker, 0 ms", f"{OURS} fanout", BARE)
_THREADS = ("celery", "Redis, threads 64", f"{OURS}, 60 ms", "a task that does nothing")
_RABBITMQ = ("celery", "RabbitMQ, threads 64", *_THREADS[2:])
GOALS = (
    Goal(*_CLIENT, BARE, CPU, 1.15),
    Goal(*_CLIENT, GO, CPU, 1.0),
    Goal(*_CLIENT, AIOAPNS, CPU, 0.1),
    Goal("fcm", "one message to many", OURS, FIREBASE, RATE, 20),
    Goal(*_FANOUT, CPU, 1.5),
    Goal(*_FANOUT, RATE, 0.6),
    Goal(*_LISTS, CPU, 1.5),
    Goal(*_THREADS, RATE, 0.9),
    Goal(*_RABBITMQ, RATE, 0.9),
)


def judge(results: Iterable[Result]) -> list[tuple[Goal, float]]:
    """Return the goals of which there are figures, and the ratios reached."""
    by_name = {(result.section, result.case): result for result in results}
    judged = []
    for goal in GOALS:
        result = by_name.get((goal.section, goal.case))
        ours = result and result.outcome(goal.ours)
        theirs = result and result.outcome(goal.theirs)
        if ours and theirs:
            judged.append((goal, _RATIOS[goal.figure](ours, theirs)))
    return judged
