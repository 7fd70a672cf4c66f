"""What `pushtasks check` has found, one thing at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text


class State(StrEnum):
    """How it is with a thing that was looked at."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


MARKS: Final = {State.OK: ("✓", "green"), State.WARNING: ("!", "yellow"), State.WRONG: ("✗", "red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    #: What, such as `apns.default key`.
    subject: str
    state: State
    #: What was seen; if it is wrong, with the way out.
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"subject": self.subject, "state": self.state.value, "detail": self.detail}


def ok(subject: str, detail: str) -> Finding:
    """Return that all is well."""
    return Finding(subject, State.OK, detail)


def warning(subject: str, detail: str) -> Finding:
    """Return that something will be wrong, or may be."""
    return Finding(subject, State.WARNING, detail)


def wrong(subject: str, detail: object) -> Finding:
    """Return that something is wrong."""
    return Finding(subject, State.WRONG, str(detail))


def table(findings: Iterable[Finding]) -> Table:
    """Return findings as people like them."""
    made = Table("", "what", box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("found", overflow="fold")
    for finding in findings:
        made.add_row(Text(*MARKS[finding.state]), finding.subject, Text(finding.detail))
    return made
