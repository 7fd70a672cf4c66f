"""A chunk of a fan-out as a worker is told to send it, and how it goes back to the broker.

Its message only says which one it is. What it is about waits in Redis until it is done, so a
message that the broker loses can be written again.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from pushtasks.chunks.task import LONGEST_WAIT, ChunkTask
from pushtasks.errors import InvalidSettings, PushError
from pushtasks.sending.arguments import Arguments
from pushtasks.sending.delivery import Later
from pushtasks.sending.progress import Progress
from pushtasks.store import Store, StoreUnavailable, current_store
from pushtasks.store.chunks import Work
from pushtasks.store.fanout_state import Spec

#: Seconds for which a worker tries to reach Redis before the chunk goes back, and between tries:
#: what it cannot note would be sent again.
PATIENCE: Final = 20.0
_STEP: Final = 0.2
#: Seconds before a paused chunk looks again, doubled each time up to `LONGEST_WAIT`.
FIRST_LOOK: Final = 2.0
#: Fan-outs of which a process remembers what they are to do.
_SPECS: Final = 64

Answer = TypeVar("Answer")


class Chunk:
    """The task's message, and what it goes back with."""

    def __init__(self, task: ChunkTask, arguments: Arguments) -> None:
        """Check the arguments.

        Raises:
            InvalidPush: They are none of a chunk.
            InvalidSettings: There is no Redis.
        """
        self.task = task
        self.arguments = task.checked(**arguments)
        self.progress = Progress.of(self.arguments.pop("_progress", None))
        self.name = self.arguments["fanout"], self.arguments["chunk"]
        store = current_store(task.app)
        if store is None:
            raise InvalidSettings("a fan-out needs Redis: set redis_url, or use Redis as broker")
        self.store: Store = store
        self.work = Work([])

    def find_work(self) -> bool:
        """Learn what it is about; False if there is nothing to do, since it is done."""
        work = self.patiently(lambda: self.store.chunks.work(*self.name))
        if work is not None:
            self.work = work
        return work is not None

    @property
    def size(self) -> int:
        """All its devices, also those that are settled."""
        return len(self.work.entries)

    @property
    def places(self) -> Sequence[int]:
        """Places of the devices that this try is about."""
        places = self.progress.places
        return range(self.size) if places is None else places

    def spec(self) -> Spec | None:
        """Return what the fan-out is to do; None if it is gone."""
        return self.patiently(lambda: _spec(self.store, self.name[0]))

    def entries(self) -> dict[int, Any]:
        """Return the entries of this try by their places in the chunk."""
        entries = self.work.entries
        return {place: entries[place] for place in self.places}

    def patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask Redis, for a while if need be; then the chunk goes back."""
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return ask()
            except StoreUnavailable as error:
                if time.monotonic() >= ends:
                    self.go_back(LONGEST_WAIT, error)
                    raise
            time.sleep(_STEP)

    def wait_for_people(self) -> None:
        """Go back while the fan-out is paused."""
        pause = min(FIRST_LOOK * 2.0**self.progress.waits, LONGEST_WAIT)
        self.progress.waits = min(self.progress.waits + 1, 10)
        self.go_back(pause, PushError(f"fan-out {self.name[0]} is paused"))

    def wait_for_turn(self, wait: float) -> None:
        """Go back until the app may send, or what is left is to be tried again."""
        self.go_back(wait, PushError(f"fan-out {self.name[0]} goes on in {wait:.1f} s"))

    def go_back(self, pause: float, error: PushError) -> None:
        """Go back for so long; returns only where nothing comes again."""
        if self.task.comes_again():
            self.task.send_back(self.arguments, self.progress, pause, error)

    def try_again(self, laters: list[Later]) -> None:
        """Have what is left tried again."""
        self.progress.places = sorted(place for later in laters for place in later.places)
        longest = max(laters, key=lambda later: later.pause)
        self.task.again(self.arguments, self.progress, longest.pause, longest.error)


@lru_cache(_SPECS)
def _spec(store: Store, fanout: str) -> Spec | None:
    return store.fanouts.spec(fanout)
