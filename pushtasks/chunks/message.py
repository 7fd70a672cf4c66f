"""A chunk of a fan-out as its message brings it to a worker, and how it goes back to the broker."""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeVar

from pushtasks.arguments import Arguments
from pushtasks.chunks.task import LONGEST_WAIT, ChunkTask
from pushtasks.delivery import Later
from pushtasks.errors import InvalidSettings, PushError
from pushtasks.progress import Progress
from pushtasks.store import Store, StoreUnavailable, current_store
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
        entries = self.arguments["entries"]
        places = self.progress.places
        self.places = list(range(len(entries))) if places is None else places
        #: All its devices, also those that are settled and not in this message.
        self.size: int = self.progress.gathered.setdefault("size", len(entries))
        store = current_store(task.app)
        if store is None:
            raise InvalidSettings("a fan-out needs Redis: set redis_url, or use Redis as broker")
        self.store: Store = store

    def spec(self) -> Spec | None:
        """Return what the fan-out is to do; None if it is gone."""
        return self.patiently(lambda: _spec(self.store, self.name[0]))

    def entries(self) -> dict[int, Any]:
        """Return the entries of this message by their places in the chunk."""
        return dict(zip(self.places, self.arguments["entries"], strict=True))

    def line(self, place: int) -> int | None:
        """Return the line of the source that a device comes from, if it is known."""
        lines = self.arguments.get("lines")
        if isinstance(lines, list):
            line: int = lines[self.places.index(place)]
            return line
        return None if lines is None else lines + place

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
        entries = self.entries()
        left = sorted(place for later in laters for place in later.places)
        rest = {**self.arguments, "entries": [entries[place] for place in left]}
        if isinstance(rest.get("lines"), list):
            rest["lines"] = [self.line(place) for place in left]
        self.progress.places = left
        longest = max(laters, key=lambda later: later.pause)
        self.task.again(rest, self.progress, longest.pause, longest.error)


@lru_cache(_SPECS)
def _spec(store: Store, fanout: str) -> Spec | None:
    return store.fanouts.spec(fanout)
