"""What changes with the way to the provider, the payload, dead tokens, GOAWAY and connections."""

from collections.abc import Iterator
from contextlib import contextmanager

from sinks import PLAIN, Behaviour
from suite.contract import Load
from suite.peers import BARE, Prepared
from suite.rounds import Case

from sections import Setting, client_case

#: Seconds until a sink answers.
DELAYS = (0.02, 0.06, 0.1)
#: Requests in flight that Apple allows; towards a sink without delay a hundred are best.
FAR = 1000
GOAWAY_EVERY = 1000
#: There are so many variations that each gets only a part of the pushes.
MANY = 2


@contextmanager
def cases(setting: Setting, prepared: Prepared) -> Iterator[list[Case]]:
    """Yield a case for each variation; each changes one thing."""
    variations = _variations(setting)
    behaviours = dict.fromkeys(behaviour for _, behaviour, _ in variations)
    with setting.sinks(setting.directory, behaviours) as sinks:
        yield [
            client_case(name, prepared, sinks[behaviour], load, BARE)
            for name, behaviour, load in variations
        ]


def _variations(setting: Setting) -> list[tuple[str, Behaviour, Load]]:
    pushes = setting.pushes // MANY
    varied = [("0 ms", PLAIN, Load(pushes))]
    varied += [
        (f"{delay * 1000:.0f} ms", Behaviour(delay=delay), Load(pushes, in_flight=FAR))
        for delay in DELAYS
    ]
    varied += [(f"{size} bytes", PLAIN, Load(pushes, payload=size)) for size in (200, 4096)]
    if setting.knows_dead:
        varied += [(f"{dead} % dead", PLAIN, Load(pushes, dead=dead)) for dead in (1, 50)]
    varied.append(("GOAWAY every 1,000", Behaviour(goaway_every=GOAWAY_EVERY), Load(pushes)))
    varied += [(f"{count} connections", PLAIN, Load(pushes, connections=count)) for count in (2, 4)]
    return varied
