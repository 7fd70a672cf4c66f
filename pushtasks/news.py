"""News about devices, and what one try of a task has to tell: pure data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from pushtasks.masking import mask
from pushtasks.results import Provider

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
    #: Device token or registration id.
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

    def __repr__(self) -> str:
        """Name the device by the beginning of its token only."""
        return f"<News {self.kind} {self.provider}/{self.app} {mask(self.token)} {self.reason}>"

    @property
    def is_suspicious(self) -> bool:
        """Whether a wrong environment may be behind it rather than a dead token."""
        return self.reason in SUSPICIOUS

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON; instants as ISO 8601, UTC."""
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
        }


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the pushes of one app in one try of a task, for the report and the stream."""

    provider: Provider
    app: str
    #: Pushes that were tried.
    attempts: int = 0
    accepted: int = 0
    #: Final rejections by reason.
    rejected: Mapping[str, int] = field(default_factory=dict)
    not_sent: int = 0
    maybe_sent: int = 0
    #: Pushes that wait for another try now, less those that waited before this one.
    pending: int = 0
    canonical_ids: int = 0
    #: Rejections that came after their task had ended.
    late: int = 0
    news: tuple[News, ...] = ()
