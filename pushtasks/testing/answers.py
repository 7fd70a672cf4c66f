"""Pure: what a pretend provider answers, in the words and with the status of the real one."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from pushtasks.results import Provider, Verdict
from pushtasks.retries import RULES
from pushtasks.wire import apns_binary, apns_http2, fcm, gcm

#: By protocol: status of an accepted push, its word for a device that is gone, status by reason.
_ACCEPTED: Final = MappingProxyType({"http2": 200, "binary": 0, "v1": 200, "legacy": 200})
_GONE: Final = MappingProxyType(
    {
        "http2": "Unregistered",
        "binary": "InvalidToken",
        "v1": "UNREGISTERED",
        "legacy": "NotRegistered",
    }
)
_STATUSES: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "http2": apns_http2.REASONS,
        "binary": {name: status for status, name in apns_binary.STATUSES.items()},
        "v1": {
            **{reason: status for status, reason in fcm.GENERAL_REASONS.items()},
            **{reason: status for status, reason in fcm.PASSING_STATUSES.items()},
            **{reason: status for reason, (status, _) in fcm.ERROR_CODES.items()},
        },
        "legacy": {
            **dict.fromkeys(gcm.ERRORS, 200),
            **{reason: status for status, reason in gcm.STATUS_REASONS.items()},
        },
    }
)
#: Of a reason that the protocol does not know, where no status is given.
UNKNOWN_STATUS: Final = 400
#: HTTP status with which Apple says since when a device is gone.
GONE_STATUS: Final = 410
NO_ANSWER: Final = "no answer, as the test has it"


@dataclass(frozen=True, slots=True)
class Scripted:
    """How a device is to be answered; without reason and successor its answer is lost."""

    reason: str | None = None
    #: None: the one that goes with the reason.
    status: int | None = None
    #: Aware; None: now, where Apple would say.
    dead_since: datetime | None = None
    #: Seconds.
    retry_after: float | None = None
    canonical_id: str | None = None


def accepted(protocol: str, message_id: str) -> Verdict:
    """Return what a provider says to a push that it takes."""
    return Verdict(_ACCEPTED[protocol], message_id=message_id)


def verdict(protocol: str, message_id: str, scripted: Scripted, now: datetime) -> Verdict:
    """Return what a provider says to a push to a scripted device.

    Args:
        protocol: `http2`, `binary`, `v1` or `legacy`.
        message_id: What it calls the push, if it takes it.
        scripted: How the device is to be answered.
        now: The instant of the answer; aware.
    """
    if scripted.canonical_id is not None:
        return accepted(protocol, message_id)._replace(canonical_id=scripted.canonical_id)
    if scripted.reason is None:
        return Verdict(None, NO_ANSWER, maybe_sent=True)
    is_gone = scripted.reason in _GONE.values()
    reason = _GONE[protocol] if is_gone else scripted.reason
    status = scripted.status
    if status is None:
        status = _STATUSES[protocol].get(reason, UNKNOWN_STATUS)
    dead_since = scripted.dead_since
    if status == GONE_STATUS:
        dead_since = (dead_since or now).astimezone(UTC)
    return Verdict(status, reason, dead_since=dead_since, retry_after=scripted.retry_after)


def check_reason(reason: str, status: int | None) -> str:
    """Return a reason that is one of a provider's, or comes with a status.

    Raises:
        ValueError: It is neither; the message says which is meant.
    """
    known = sorted(reasons())
    if reason in known or (status is not None and reason):
        return reason
    near = difflib.get_close_matches(reason, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else "see the README, Reasons"
    raise ValueError(
        f"reason {reason!r} is none of Apple's or Google's: {hint}"
        " (one of your own needs a status beside it)"
    )


def reasons() -> set[str]:
    """Return the reasons of all providers and protocols."""
    return {reason for rules in RULES.values() for reason in rules}


def provider_of(protocol: str) -> Provider:
    """Return whose protocol it is."""
    return "apns" if protocol in {"http2", "binary"} else "gcm"
