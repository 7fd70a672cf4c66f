"""One fan-out kept in memory, and what becomes of it; for one process."""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pushtasks.news import News
from pushtasks.store.chunks import Note
from pushtasks.store.fanout_state import COUNTERS, Fanout, Spec, Standing, State

#: Failures that are kept.
FAILURES_LIMIT: Final = 100_000


@dataclass
class Kept:
    """A fan-out, as it stands."""

    id: str
    spec: str
    key: str | None
    state: State = State.RUNNING
    counts: Counter[str] = field(default_factory=Counter)
    #: Chunks that are done; of others what they are about, and the places that are settled.
    done: set[int] = field(default_factory=set)
    work: dict[int, str] = field(default_factory=dict)
    settled: dict[int, set[int]] = field(default_factory=dict)
    failures: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=FAILURES_LIMIT))
    position: Any = None
    source_ended: bool = False
    publisher: tuple[str, float] = ("", 0.0)
    error: str | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None

    @property
    def has_publisher(self) -> bool:
        """Whether somebody publishes at this moment."""
        return self.publisher[1] > time.monotonic()

    def fail(self, failures: Sequence[Mapping[str, Any]]) -> None:
        """Keep failures, and count them."""
        self.failures.extend(dict(failure) for failure in failures)
        self.counts["failures"] += len(failures)

    def settle(self) -> Standing:
        """End it if nothing more is to come; return how it stands."""
        if self.state is State.CANCELLED and not self.has_publisher:
            self.source_ended = True
        published, done = self.counts["chunks_published"], self.counts["chunks_done"]
        if self.source_ended and self.finished_at is None and published == done:
            self.finished_at = datetime.now(UTC)
            self.state = State.CANCELLED if self.state is State.CANCELLED else State.FINISHED
        is_over = self.finished_at is not None
        return Standing(self.state, published, done, self.source_ended, self.has_publisher, is_over)

    def shown(self) -> Fanout:
        """Return it as it is shown to others."""
        return Fanout(
            id=self.id,
            spec=Spec.from_json(self.spec),
            state=self.state,
            **{name: self.counts[name] for name in COUNTERS},
            position=self.position,
            source_ended=self.source_ended,
            has_publisher=self.has_publisher,
            error=self.error,
            created_at=self.created_at,
            finished_at=self.finished_at,
        )


def note_devices(kept: Kept, note: Note) -> tuple[News, ...]:
    """Count the devices that are new among those settled; return what is to be told of them."""
    settled = kept.settled.setdefault(note.chunk, set())
    news: list[News] = []
    for one in note.others:
        if one.place not in settled:
            settled.add(one.place)
            kept.counts[one.outcome] += 1
            kept.counts["canonical_ids"] += one.is_renamed
            kept.fail([one.failure])
            news += one.news
    for name, bitmap in (("accepted", note.accepted), (note.alike_as, note.alike)):
        added = _places_in(bitmap.to_bitmap()) - settled
        kept.counts[name] += len(added)
        settled |= added
    if note.is_over:
        kept.counts["retried"] += note.retried
    kept.error = kept.error or note.error or None
    if len(settled) >= note.size:
        del kept.settled[note.chunk]
        kept.work.pop(note.chunk, None)
        kept.done.add(note.chunk)
        kept.counts["chunks_done"] += note.chunk < kept.counts["chunks_published"]
        kept.settle()
    return tuple(news)


def _places_in(bitmap: bytes) -> set[int]:
    return {place for place in range(8 * len(bitmap)) if bitmap[place // 8] & (0x80 >> place % 8)}
