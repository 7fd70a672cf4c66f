"""APNs' binary gateway: our client beside a loop that only encodes and writes."""

from collections.abc import Iterator
from contextlib import contextmanager

from sinks.gateway import gateway
from suite.contract import Load
from suite.peers import BARE_GATEWAY, Prepared
from suite.rounds import Case

from sections import Setting, client_case

#: So many times more pushes than over HTTP/2, to take as long.
MORE = 5


@contextmanager
def cases(setting: Setting, prepared: Prepared) -> Iterator[list[Case]]:
    """Yield one case."""
    with gateway(setting.directory) as sink:
        load = Load(setting.pushes * MORE)
        yield [client_case("frames of command 2", prepared, sink, load, BARE_GATEWAY)]
