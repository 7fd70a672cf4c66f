"""Memory of a worker against the number of devices that it has sent to."""

from dataclasses import dataclass

from sinks import PLAIN
from suite.brokers import redis
from suite.workers import worker

from sections import Setting
from sections.celery import LIST, THREADS, lists, worker_environment

#: Times of `--pushes` at which a look is taken.
CHECKPOINTS = (0.5, 1, 2, 4, 6, 8, 10)
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a worker."""

    devices: int
    #: MiB of resident memory.
    memory: float


def looks(setting: Setting) -> list[Look]:
    """Let one worker send list after list, and look at its memory in between.

    Raises:
        ClientError: The worker failed.
    """
    with setting.sinks(setting.directory, [PLAIN]) as sinks, redis() as url:
        environment = worker_environment(setting.directory, sinks)
        options = THREADS.options
        with worker(setting.directory, f"{url}/0", url, options, environment) as one:
            taken = [Look(0, one.memory / MIB)]
            for checkpoint in CHECKPOINTS:
                sent = taken[-1].devices
                count = max(1, round((checkpoint * setting.pushes - sent) / LIST))
                one.measure(lists(sent, count, "near"))
                taken.append(Look(sent + count * LIST, one.memory / MIB))
    return taken
