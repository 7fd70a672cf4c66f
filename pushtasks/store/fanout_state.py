"""A fan-out as the store knows it: what was asked for, how far it is, how it stands. Pure data."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple, Self

from pushtasks.results import Provider

#: A fan-out whose entries each begin with their provider.
MIXED: Final = "mixed"
#: Devices of one chunk at the most.
CHUNK_LIMIT: Final = 1000


class State(StrEnum):
    """How a fan-out stands."""

    RUNNING = "running"
    PAUSED = "paused"
    #: Nothing more is sent; over once all chunks have heard of it.
    CANCELLED = "cancelled"
    #: Every device is settled.
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a fan-out is to do."""

    provider: Provider | Literal["mixed"]
    #: The app in the settings; of a mixed one, the app of that name at both providers.
    app: str
    #: As of `send_apns_many` or `send_gcm_many`; of a mixed one a text, or a dict with one for
    #: each, `{"apns": …, "gcm": …}`.
    payload: Any
    #: What else is said of all pushes: `topic`, `priority`, `dry_run` and so on.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Devices of one chunk, up to `CHUNK_LIMIT`.
    chunk: int = 1000
    #: Where the devices come from, as the publisher describes it to itself.
    source: Mapping[str, Any] = field(default_factory=dict)
    #: Chosen by the caller: a second fan-out of the same key is the first one.
    key: str | None = None

    def to_json(self) -> str:
        """Return it as text; instants as ISO 8601."""
        return json.dumps(asdict(self), default=datetime.isoformat)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` was called on; instants stay text."""
        return cls(**json.loads(text))

    def payload_for(self, provider: Provider) -> Any:
        """Return what the devices of a provider get."""
        if self.provider == MIXED and isinstance(self.payload, Mapping):
            return self.payload[provider]
        return self.payload


class Standing(NamedTuple):
    """How a fan-out stands, as publisher and watchers ask again and again."""

    state: State
    chunks_published: int
    #: Of these, those whose devices are all settled.
    chunks_done: int
    #: Whether no more chunks are to come.
    source_ended: bool
    #: Whether somebody publishes at this moment.
    has_publisher: bool
    #: Whether nothing more will change.
    is_over: bool

    @property
    def outstanding(self) -> int:
        """Chunks that are in the broker or in the hands of workers."""
        return self.chunks_published - self.chunks_done


@dataclass(frozen=True, slots=True)
class Fanout:
    """A fan-out and its counters.

    Once it is over, `accepted`, `rejected`, `not_sent`, `maybe_sent` and `invalid` add up to
    `devices`: each device is counted once, whatever was delivered or sent twice.
    """

    id: str
    spec: Spec
    state: State
    #: Devices read from the source, those included that are none.
    devices: int
    accepted: int
    #: By the provider, for good.
    rejected: int
    not_sent: int
    maybe_sent: int
    #: Devices for which no push could be made: no token, or too large a payload of its own.
    invalid: int
    #: Devices of tries that were cut off (a worker was killed): some of them were sent to twice.
    repeated: int
    #: Devices that were to be tried once more, counted each time.
    retried: int
    #: Registration ids that have a successor.
    canonical_ids: int
    #: Entries of the list of failures; it keeps the newest `FAILURES_LIMIT`.
    failures: int
    chunks_published: int
    chunks_done: int
    #: Where in the source the next chunk begins, as the publisher said; None at the beginning.
    position: Any
    #: Whether no more chunks are to come.
    source_ended: bool
    #: Whether somebody publishes at this moment.
    has_publisher: bool
    #: What ended the source before its time, or kept chunks from being sent.
    error: str | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will change."""
        return self.finished_at is not None

    @property
    def settled(self) -> int:
        """Devices of which the end is known."""
        return self.accepted + self.rejected + self.not_sent + self.maybe_sent + self.invalid

    @property
    def expected(self) -> int | None:
        """How many devices there are, or will be by what was read of a file; None: unknown."""
        if self.source_ended:
            return self.devices
        size, position = self.spec.source.get("size"), self.position
        if not size or not position or not position["place"]:
            return None
        return round(self.devices * int(size) / int(position["place"]))

    @property
    def seconds(self) -> float:
        """Seconds from its creation to its end, or until now."""
        return ((self.finished_at or datetime.now(UTC)) - self.created_at).total_seconds()

    @classmethod
    def from_hash(cls, id_: str, fields: Mapping[str, str], *, has_publisher: bool) -> Self:
        """Return the fan-out that a hash in Redis describes."""
        counts = {name: int(fields.get(name, 0)) for name in COUNTERS}
        finished_at = fields.get("finished_at")
        return cls(
            id=id_,
            spec=Spec.from_json(fields["spec"]),
            state=State(fields["state"]),
            **counts,
            position=json.loads(fields.get("position", "null")),
            source_ended=fields.get("source_ended") == "1",
            has_publisher=has_publisher,
            error=fields.get("error"),
            created_at=_instant(fields["created_at"]),
            finished_at=_instant(finished_at) if finished_at else None,
        )


#: Counters under whose names devices end.
OUTCOMES: Final = ("accepted", "rejected", "not_sent", "maybe_sent", "invalid")
COUNTERS: Final = (
    *OUTCOMES,
    "devices",
    "repeated",
    "retried",
    "canonical_ids",
    "failures",
    "chunks_published",
    "chunks_done",
)


def _instant(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
