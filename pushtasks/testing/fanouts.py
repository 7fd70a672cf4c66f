"""Fan-outs kept in memory: what `store.fanouts` and `store.chunks` keep in Redis, for one process.

The rules are those of the scripts there: a chunk that is noted twice counts once, and so does a
device; a fan-out is over when its source has ended and all its chunks are done.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pushtasks.news import Tally
from pushtasks.store.chunks import Begun, Note, Places, Work
from pushtasks.store.fanout_state import Fanout, Spec, Standing, State
from pushtasks.store.rates import Limit
from pushtasks.testing.kept import Kept, note_devices

#: Fan-outs that are kept.
FANOUTS_LIMIT: Final = 1000
#: What each state may become.
_MOVES: Final = {
    State.RUNNING: {State.PAUSED, State.CANCELLED, State.RUNNING},
    State.PAUSED: {State.RUNNING, State.CANCELLED},
}


class MemoryFanouts:
    """The fan-outs of a Celery app; methods as of `pushtasks.store.fanouts.Fanouts`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.kept: dict[str, Kept] = {}

    # Reading ------------------------------------------------------------------------------------

    def find(self, id_: str) -> Fanout | None:
        """Return a fan-out; None if there is none."""
        with self.lock:
            kept = self.kept.get(id_)
            return kept.shown() if kept else None

    def newest(self, count: int = 100) -> list[Fanout]:
        """Return fan-outs, the newest first."""
        with self.lock:
            return [kept.shown() for kept in list(self.kept.values())[::-1][:count]]

    def under_way(self) -> Iterator[str]:
        """Yield the ids of fan-outs that are not over, the newest first."""
        yield from (one.id for one in self.newest(FANOUTS_LIMIT) if not one.is_over)

    def spec(self, id_: str) -> Spec | None:
        """Return what a fan-out is to do."""
        kept = self.kept.get(id_)
        return Spec.from_json(kept.spec) if kept else None

    def standing(self, id_: str) -> Standing | None:
        """Return how a fan-out stands."""
        with self.lock:
            kept = self.kept.get(id_)
            return kept.settle() if kept else None

    def failures(
        self, id_: str, after: str | None = None, count: int = 1000
    ) -> list[tuple[str, dict[str, Any]]]:
        """Return what went wrong or changed with devices, each with its id."""
        kept = self.kept.get(id_)
        first = int(after) if after else 0
        failures = list(kept.failures)[first : first + count] if kept else []
        return [(str(number), failure) for number, failure in enumerate(failures, first + 1)]

    # Publishing ---------------------------------------------------------------------------------

    def create(self, spec: Spec) -> tuple[str, bool]:
        """Begin a fan-out; return its id, and whether it is new."""
        with self.lock:
            for kept in self.kept.values():
                if spec.key is not None and kept.key == spec.key:
                    return kept.id, False
            while len(self.kept) >= FANOUTS_LIMIT:
                del self.kept[next(iter(self.kept))]
            id_ = uuid.uuid4().hex[:12]
            self.kept[id_] = Kept(id_, spec.to_json(), spec.key)
            return id_, True

    def published(
        self,
        id_: str,
        chunk: int,
        devices: int,
        position: Any,
        invalid: Sequence[Mapping[str, Any]] = (),
        *,
        work: str = "",
        key: str | None = None,  # noqa: ARG002
    ) -> Standing | None:
        """Note a chunk that is handed over next."""
        with self.lock:
            kept = self.kept.get(id_)
            if kept is not None and chunk == kept.counts["chunks_published"]:
                kept.counts.update(
                    chunks_published=1, devices=devices + len(invalid), invalid=len(invalid)
                )
                kept.fail(invalid)
                kept.position = position
                if work:
                    kept.work[chunk] = work
                else:
                    kept.done.add(chunk)
                kept.counts["chunks_done"] += chunk in kept.done
            return kept.settle() if kept else None

    def source_ended(
        self,
        id_: str,
        error: str | None = None,
        *,
        position: Any = None,
        invalid: Sequence[Mapping[str, Any]] = (),
    ) -> Standing | None:
        """Note that no more chunks are to come."""
        with self.lock:
            kept = self.kept.get(id_)
            if kept is not None and not kept.source_ended:
                kept.counts.update(devices=len(invalid), invalid=len(invalid))
                kept.fail(invalid)
                kept.position, kept.source_ended = position, True
                kept.error = kept.error or error
            return kept.settle() if kept else None

    def lost(self, id_: str, **_limits: float) -> list[int]:  # noqa: ARG002
        """Return no chunk: none goes over a broker that could lose it."""
        return []

    def claim(self, id_: str, owner: str, seconds: float) -> bool:
        """Become the publisher for so long; False if somebody else is."""
        with self.lock:
            kept = self.kept.get(id_)
            if kept is None or (kept.has_publisher and kept.publisher[0] != owner):
                return False
            kept.publisher = owner, time.monotonic() + seconds
            return True

    def release(self, id_: str, owner: str) -> bool:
        """Be the publisher no longer."""
        with self.lock:
            kept = self.kept.get(id_)
            if kept is None or kept.publisher[0] != owner:
                return False
            kept.publisher = "", 0.0
            return True

    # Steering -----------------------------------------------------------------------------------

    def set_state(self, id_: str, state: State) -> bool:
        """Pause, resume or cancel; return whether it could be."""
        with self.lock:
            kept = self.kept.get(id_)
            if kept is None or state not in _MOVES.get(kept.state, ()):
                return False
            kept.state = state
            kept.settle()
            return True


class MemoryChunks:
    """The chunks of these fan-outs; methods as of `pushtasks.store.chunks.Chunks`."""

    def __init__(self, fanouts: MemoryFanouts, tell: Callable[[Tally], Any]) -> None:
        """Take the fan-outs, and who is to hear of news."""
        self._fanouts = fanouts
        self._tell = tell

    def work(self, fanout: str, chunk: int) -> Work | None:
        """Return what a chunk is about; None if it is done, or there is no such fan-out."""
        with self._fanouts.lock:
            kept = self._fanouts.kept.get(fanout)
            text = kept.work.get(chunk) if kept else None
        return Work.from_json(text) if text else None

    def begin(
        self,
        fanout: str,
        chunk: int,
        size: int,
        turns: Sequence[tuple[Limit, int, int]],
        **_leases: Any,
    ) -> Begun:
        """Begin a try of a chunk; nobody else is at it, and no rate holds it up."""
        with self._fanouts.lock:
            kept = self._fanouts.kept.get(fanout)
            if kept is None:
                return Begun(None, False, b"", 0.0, False, ())  # noqa: FBT003
            settled = Places.of(size, kept.settled.get(chunk, ())).to_bitmap()
            is_done = chunk in kept.done
            return Begun(kept.state, is_done, settled, 0.0, False, (0,) * len(turns))  # noqa: FBT003

    def note(self, note: Note, consumers: Sequence[str] = ()) -> tuple[bool, list[Any]]:  # noqa: ARG002
        """Note what became of devices of a chunk, and tell their news."""
        with self._fanouts.lock:
            kept = self._fanouts.kept.get(note.fanout)
            if kept is None or note.chunk in kept.done:
                return True, []
            news = note_devices(kept, note)
            is_done = note.chunk in kept.done
        if news:
            rejected = Counter(str(one.reason) for one in news)
            self._tell(
                Tally(
                    note.limit.provider,
                    note.limit.app,
                    note.environment,
                    rejected=rejected,
                    news=news,
                )
            )
        return is_done, []
