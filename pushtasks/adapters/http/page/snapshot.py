"""What the page is made of, as it was read at one moment. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from pushtasks.news import Entry
from pushtasks.results import APNS, GCM, Provider
from pushtasks.store.fanout_state import Fanout
from pushtasks.store.health import Health

#: By provider and protocol; without a protocol, today's.
_SERVICES: Final = {
    (APNS, ""): "APNs",
    (APNS, "http2"): "APNs",
    (APNS, "binary"): "APNs gateway",
    (GCM, ""): "FCM",
    (GCM, "v1"): "FCM",
    (GCM, "legacy"): "GCM",
}


@dataclass(frozen=True, slots=True)
class Credential:
    """As whom an app sends; never the key itself."""

    #: `Certificate`, `Key`, `Service account` or `API key`.
    kind: str
    #: Which one, in the provider's words.
    name: str = ""
    #: None: it does not expire.
    expires: datetime | None = None
    #: Why it cannot be used; empty if it can.
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the settings of this process say of an app."""

    protocol: str
    #: Topic or project, and a sandbox.
    purpose: str
    #: As written, `9000/s`; None: as fast as can be.
    rate: str | None
    credential: Credential


@dataclass(frozen=True, slots=True)
class App:
    """One app at one provider, of the settings, of the report, or of both."""

    provider: Provider
    name: str
    #: None: this process has no settings of it.
    setup: Setup | None = None
    #: As in `Store.report()`; empty: nothing was sent yet.
    counters: Mapping[str, Any] = field(default_factory=dict)
    #: None: Redis cannot be read.
    health: Health | None = None

    @property
    def service(self) -> str:
        """What the provider calls its service."""
        return _SERVICES[self.provider, self.setup.protocol if self.setup else ""]

    @property
    def label(self) -> str:
        """What it is called in settings and commands."""
        return f"{self.provider}.{self.name}"


class Stream(NamedTuple):
    """The feedback stream."""

    entries: int
    #: Entries that it keeps at the most.
    length: int
    #: Entries that had to go unread.
    lost: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment."""

    now: datetime
    apps: tuple[App, ...] = ()
    #: Newest first; those that go on before those that are over.
    fanouts: tuple[Fanout, ...] = ()
    #: Newest first.
    news: tuple[Entry, ...] = ()
    #: None: Redis cannot be read.
    stream: Stream | None = None
    #: Consumers of news that fail, and how often in a row.
    failing: Mapping[str, int] = field(default_factory=dict)
    #: The share of suspicious rejections beyond which dead tokens are held back.
    breaker: float = 0.5
    #: What forms are sealed with; empty if Redis cannot be read.
    secret: str = field(default="", repr=False)
    #: What could not be read at all, a line each, with the way out.
    troubles: tuple[str, ...] = ()
