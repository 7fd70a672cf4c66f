"""What our layers add to libcurl: the same pushes by more and more of ours.

A line less the one above it is the cost of a layer. The layers are the multiplexer (its thread,
hand-over, window, deadlines), the client (requests, provider token, verdicts), and the checks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sinks import PLAIN
from suite.contract import Load
from suite.peers import BARE, Prepared
from suite.rounds import Case

from sections import Setting, client_case


@contextmanager
def cases(setting: Setting, prepared: Prepared) -> Iterator[list[Case]]:
    """Yield one case."""
    with setting.sinks(setting.directory, [PLAIN]) as sinks:
        load = Load(setting.pushes)
        yield [client_case("layer upon layer", prepared, sinks[PLAIN], load, BARE)]
