"""APNs over HTTP/2: what a push costs each client, one connection, no delay."""

from collections.abc import Iterator
from contextlib import contextmanager

from sinks import PLAIN
from suite.contract import Load
from suite.peers import BARE, Prepared
from suite.rounds import Case

from sections import Setting, client_case


@contextmanager
def cases(setting: Setting, prepared: Prepared) -> Iterator[list[Case]]:
    """Yield one case with all clients."""
    with setting.sinks(setting.directory, [PLAIN]) as sinks:
        load = Load(setting.pushes)
        yield [client_case("1 connection, 110 bytes", prepared, sinks[PLAIN], load, BARE)]
