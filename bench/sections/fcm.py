"""FCM HTTP v1: one message to many devices."""

from collections.abc import Iterator
from contextlib import contextmanager

from sinks import PLAIN
from suite.contract import Load
from suite.peers import FIREBASE, Prepared
from suite.rounds import Case

from sections import Setting, client_case


@contextmanager
def cases(setting: Setting, prepared: Prepared) -> Iterator[list[Case]]:
    """Yield one case with all clients."""
    with setting.sinks(setting.directory, [PLAIN]) as sinks:
        load = Load(setting.pushes)
        yield [client_case("one message to many", prepared, sinks[PLAIN], load, FIREBASE)]
