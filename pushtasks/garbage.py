"""How a worker collects garbage: seldom, and without what lives as long as itself."""

import gc
from typing import Final

#: New containers between two collections; Python's own is 700, less than a list of pushes makes.
#: Nearly all of them go without the collector, which is there for cycles only.
THRESHOLD: Final = 20_000


def collect_seldom() -> None:
    """Spare the collector modules, settings, tasks, and whatever else there is by now.

    Otherwise it looks at all of it every 40,000 pushes, and at each list of pushes several times:
    5 % of the CPU time. Called before a pool forks, its processes also go on sharing that memory.
    """
    gc.freeze()
    gc.set_threshold(THRESHOLD, *gc.get_threshold()[1:])
