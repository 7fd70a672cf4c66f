"""News about devices, and what one try of a task has to tell: pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

from pushtasks.masking import mask
from pushtasks.results import Identifier, Provider

#: Reasons that can mean a wrong environment, topic or certificate as well as a dead token.
SUSPICIOUS: Final = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "InvalidToken"})


class Kind(StrEnum):
    """What an entry of the feedback stream is about."""

    #: The token is dead: stop sending to it, unless it was registered again since.
    EXPIRED = "expired"
    #: The registration id has a successor.
    REPLACED = "replaced"
    #: A push was rejected after its task had ended, so that its result says "accepted".
    REJECTED_LATE = "rejected_late"


@dataclass(frozen=True, slots=True)
class News:
    """One thing that a provider told about one device."""

    kind: Kind
    provider: Provider
    app: str
    #: Device token or registration id, as the push or the feedback service named it.
    token: str
    #: When it was told; aware, UTC.
    seen_at: datetime
    #: The provider's own word; `Feedback` for what the feedback service told.
    reason: str | None = None
    #: HTTP status or status byte.
    status: int | None = None
    #: Since when the token is dead, if the provider told; aware, UTC.
    dead_since: datetime | None = None
    #: The registration id's successor.
    canonical_id: str | None = None
    #: What the caller calls the push that this is about, if he calls it anything.
    identifier: Identifier | None = None

    def __repr__(self) -> str:
        """Name the device by the beginning of its token only."""
        return f"<News {self.kind} {self.provider}/{self.app} {mask(self.token)} {self.reason}>"

    @property
    def is_suspicious(self) -> bool:
        """Whether it calls a token dead while a wrong environment may be behind it."""
        return self.kind is Kind.EXPIRED and self.reason in SUSPICIOUS

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_dict` was made of.

        Args:
            values: As `to_dict` returns them. Keys that are not known here, of a newer version, are
                left out.

        Raises:
            ValueError: It is no such dict.
        """
        known: dict[str, Any] = {key: values[key] for key in cls.__match_args__ if key in values}
        try:
            known["kind"] = Kind(known["kind"])
            known["seen_at"] = datetime.fromisoformat(known["seen_at"])
            if known.get("dead_since"):
                known["dead_since"] = datetime.fromisoformat(known["dead_since"])
            return cls(**known)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no entry of the feedback stream: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON; instants as ISO 8601, UTC; `identifier` only if there is one."""
        dead_since = self.dead_since
        return {
            "kind": self.kind.value,
            "provider": self.provider,
            "app": self.app,
            "token": self.token,
            "seen_at": self.seen_at.astimezone(UTC).isoformat(),
            "reason": self.reason,
            "status": self.status,
            "dead_since": dead_since and dead_since.astimezone(UTC).isoformat(),
            "canonical_id": self.canonical_id,
            **({} if self.identifier is None else {"identifier": self.identifier}),
        }


@dataclass(frozen=True, slots=True)
class Entry(News):
    """News as the feedback stream keeps them."""

    #: The entry's place in the stream; empty for what never was in one.
    id: str = ""

    __repr__ = News.__repr__

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON; what handlers and signals are given."""
        return {"id": self.id, **News.to_dict(self)}


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the pushes of one app in one try of a task, for the report and the stream.

    Each push is counted once: `attempts` is the sum of `accepted`, `rejected`, `not_sent`,
    `maybe_sent`, `pending` and `late` over all tallies of an app.
    """

    provider: Provider
    app: str
    #: `production` or `sandbox` at Apple; tokens of one are bad in the other.
    environment: str = ""
    #: Pushes that were tried for the first time.
    attempts: int = 0
    #: Less those that turn out to be rejected later.
    accepted: int = 0
    #: Final rejections by reason.
    rejected: Mapping[str, int] = field(default_factory=dict)
    #: Of these, how many the provider has not judged: they never were sent to it.
    unjudged: int = 0
    not_sent: int = 0
    maybe_sent: int = 0
    #: Pushes that wait for another try now, less those that waited before this one.
    pending: int = 0
    canonical_ids: int = 0
    #: Rejections that came after their task had ended.
    late: int = 0
    news: tuple[News, ...] = ()
