"""The benchmarks, one module each: a context manager that starts what a section needs.

It yields the section's cases; what it started ends with it.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sinks import Behaviour
from suite.contract import Load, Sink, run_client
from suite.peers import Prepared
from suite.rounds import Case

Sinks = Callable[[Path, Iterable[Behaviour]], AbstractContextManager[Mapping[Behaviour, Sink]]]
#: The least pushes that tell anything.
LEAST = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """What the command line asked for."""

    #: Pushes of a quick client in one run; others get their part of them.
    pushes: int
    #: Starts sinks.
    sinks: Sinks
    #: An empty folder.
    directory: Path
    #: Whether the sinks answer device tokens that begin with `dead` as dead ones.
    knows_dead: bool


def client_case(name: str, prepared: Prepared, sink: Sink, load: Load, yardstick: str) -> Case:
    """Return a case in which each peer sends the same load to the same sink."""
    contenders = {}
    for peer, ready in prepared.ready.items():
        pushes = max(LEAST, int(load.pushes * peer.share))
        its_load = replace(load, pushes=pushes, warm_up=peer.warm_up)
        contenders[peer.name] = partial(run_client, ready.command, sink, its_load)
    return Case(name, contenders, yardstick, prepared.missing)
