"""The calls through which the core tells what it does; metrics, traces, logs and events listen.

The core does not know who does. What is told is a frozen record, once for a try of a task or for
what a connection has done since it told last, never once for each push of a list. With nobody
registered it costs the core a look at an empty tuple:

    if observers.registered:
        observers.tell(Sending(...))

Records hold no device token in full, no payload and no secret.
"""

import logging
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pushtasks.results import Provider

logger = logging.getLogger(__name__)


class Kind(StrEnum):
    """What a try sends to."""

    #: One device.
    SINGLE = "single"
    #: The devices of a list in one task.
    LIST = "list"
    #: A chunk of a fan-out; of a mixed one, its devices at one provider.
    CHUNK = "chunk"


class End(StrEnum):
    """How pushes end in one try: as an `Outcome`, or not yet."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    MAYBE_SENT = "maybe_sent"
    #: They are tried again later.
    RETRIED = "retried"


@dataclass(frozen=True, slots=True)
class Sending:
    """A call to a provider begins; a `Sent` of the same follows, whatever happens."""

    provider: Provider
    app: str
    kind: Kind
    #: Pushes.
    count: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A call to a provider is over; what came of it, a `Tried` tells, if anything did."""

    provider: Provider
    app: str
    kind: Kind
    #: Pushes.
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Pushes of one try that ended alike."""

    end: End
    #: Pushes.
    count: int
    #: The provider's own word, or why no answer came; None if it accepted. Of pushes that are to be
    #: tried again, the reason of one of them. Of a push that could not even be made, `InvalidPush`.
    reason: str | None = None
    #: HTTP status or that of the binary gateway; None if no answer came, or if it is not known.
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the pushes of one try, at one provider."""

    provider: Provider
    app: str
    #: `production` or `sandbox`; empty at Google.
    environment: str
    kind: Kind
    #: Each with a count above 0.
    ends: tuple[Ended, ...]
    #: Celery's; None where a task was called as a function.
    task_id: str | None = None
    #: Tries before this one.
    tries: int = 0
    #: Masked; only of a single push.
    token: str | None = None
    #: Only of a chunk: the id of its fan-out, and its number there.
    fanout: str | None = None
    chunk: int | None = None
    #: Seconds since 1970 at which the provider was called, and how long that took; None if nothing
    #: was to be sent.
    started: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RejectedLate:
    """A push that counted as accepted by a binary gateway's silence has been refused after all."""

    provider: Provider
    app: str
    reason: str
    #: Masked.
    token: str


@dataclass(frozen=True, slots=True)
class Connections:
    """What has changed about the connections to one server since this was told last.

    All numbers are differences, so the sums over all records are those of the process.
    """

    #: `host:port`.
    server: str
    opened: int = 0
    closed: int = 0
    #: Connections that the server has ended, by a GOAWAY or by closing, while they were in use.
    goaways: int = 0
    #: Requests that are open: more of them if above 0, fewer if below.
    streams: int = 0


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers that came together."""

    #: `host:port`.
    server: str
    count: int
    #: Of the slowest, from when its request was handed to a connection.
    seconds: float


@dataclass(frozen=True, slots=True)
class ProviderTokenMade:
    """This process has signed another provider token for Apple."""

    team_id: str
    key_id: str
    #: Seconds since 1970, as the token says; up to 41 minutes ago.
    issued_at: float


Record = Sending | Sent | Tried | RejectedLate | Connections | Answers | ProviderTokenMade


class Observer:
    """Hears what the core does; a subclass overrides the methods whose records it wants.

    Each is called in the thread in which it happened: that of a task, or the one that serves all
    connections. So it has to be quick and must not wait. What it raises is logged, and no push
    suffers from it.
    """

    def sending(self, record: Sending) -> None:
        """Hear that pushes are handed to a provider."""

    def sent(self, record: Sent) -> None:
        """Hear that a provider has answered, or has not in time."""

    def tried(self, record: Tried) -> None:
        """Hear what became of pushes."""

    def rejected_late(self, record: RejectedLate) -> None:
        """Hear of a push whose acceptance was too early a guess."""

    def connections(self, record: Connections) -> None:
        """Hear what has changed about connections."""

    def answers(self, record: Answers) -> None:
        """Hear how long answers took."""

    def provider_token_made(self, record: ProviderTokenMade) -> None:
        """Hear of another provider token."""


_METHODS: Final = MappingProxyType(
    {
        Sending: "sending",
        Sent: "sent",
        Tried: "tried",
        RejectedLate: "rejected_late",
        Connections: "connections",
        Answers: "answers",
        ProviderTokenMade: "provider_token_made",
    }
)

#: Who listens in this process and in those that it forks; changed by `register` alone.
registered: tuple[Observer, ...] = ()


def register(observer: Observer) -> None:
    """Have an observer hear what happens from now on; once, however often it is registered.

    To be called while a process starts: what has happened before is not told again.
    """
    global registered  # noqa: PLW0603
    if observer not in registered:
        registered = (*registered, observer)


def unregister(observer: Observer) -> None:
    """Have an observer hear no more; nothing happens if it does not."""
    global registered  # noqa: PLW0603
    registered = tuple(one for one in registered if one is not observer)


def tell(record: Record) -> None:
    """Hand a record to all observers; never raises."""
    method = _METHODS[type(record)]
    for observer in registered:
        try:
            getattr(observer, method)(record)
        except Exception:
            logger.exception("Observer %r failed on a record %s", observer, type(record).__name__)
