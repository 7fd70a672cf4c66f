"""What became of a notification, and the plain dicts in which tasks hand it on."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pushtasks.masking import mask

VERSION: Final = 1

Provider = str
#: What a caller calls a push of a list, for logs, results and news to name it by.
Identifier = str | int
APNS: Final[Provider] = "apns"
GCM: Final[Provider] = "gcm"


class Outcome(StrEnum):
    """What the provider did with one push."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    MAYBE_SENT = "maybe_sent"


class Action(StrEnum):
    """What the caller should do about it."""

    NONE = "none"
    DROP_TOKEN = "drop_token"  # noqa: S105
    REPLACE_TOKEN = "replace_token"  # noqa: S105
    FIX_REQUEST = "fix_request"
    FIX_CONFIG = "fix_config"
    RETRY_LATER = "retry_later"


class Verdict(NamedTuple):
    """What came back for one push, read but not yet judged.

    A named tuple, since every push makes one and a frozen dataclass costs three times as much.
    """

    #: HTTP status; None if no answer came.
    status: int | None
    #: The provider's own word, or why no answer came; None if it accepted.
    reason: str | None = None
    message_id: str | None = None
    canonical_id: str | None = None
    dead_since: datetime | None = None
    #: Seconds that the provider asks to wait.
    retry_after: float | None = None
    #: Without an answer: whether the provider may have received the push all the same.
    maybe_sent: bool = False
    #: Of a device group: its members that the message did not reach.
    failed_registration_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one push to one device."""

    provider: Provider
    app: str
    token: str
    outcome: Outcome
    action: Action = Action.NONE
    status: int | None = None
    reason: str | None = None
    message_id: str | None = None
    canonical_id: str | None = None
    dead_since: datetime | None = None
    failed_registration_ids: tuple[str, ...] = ()
    #: What the caller calls this push, if he calls it anything.
    identifier: Identifier | None = None

    def __repr__(self) -> str:
        """Name the device by the beginning of its token only."""
        return (
            f"<Result {self.provider}/{self.app} {mask(self.token)} {self.outcome} {self.reason}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the dict of one device (`dead_since` as ISO 8601, UTC).

        Only a device group of which members failed has `failed_registration_ids`, and only a push
        that was given an `identifier` has it.
        """
        dead_since = self.dead_since
        failed = list(self.failed_registration_ids)
        return {
            "version": VERSION,
            "provider": self.provider,
            "app": self.app,
            "token": self.token,
            "outcome": self.outcome.value,
            "status": self.status,
            "reason": self.reason,
            "action": self.action.value,
            "message_id": self.message_id,
            "canonical_id": self.canonical_id,
            "dead_since": dead_since and dead_since.astimezone(UTC).isoformat(),
            **({"failed_registration_ids": failed} if failed else {}),
            **({} if self.identifier is None else {"identifier": self.identifier}),
        }
