"""Which failures are worth another try, when, and what to do first. A pure table.

Sources: Apple, "Handling notification responses from APNs" and, archived, "Binary Provider API";
Google, "Best practices when sending FCM messages at scale", "FCM Error Codes" and the legacy HTTP
reference. Apple asks to wait 15 minutes after a 5xx without Retry-After. Here pauses begin at 10
seconds and double: a push that is a quarter of an hour late is rarely worth sending, and the
provider is asked a handful of times at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from pushtasks.results import APNS, GCM, Action, Provider, Verdict
from pushtasks.wire import fcm

#: Seconds; no pause grows beyond it, except one that the provider asks for.
LONGEST_PAUSE: Final = 900.0
#: Every pause is up to so much longer, at random, or all would come back at once.
JITTER: Final = 0.25


class Before(Enum):
    """What to do before a push goes out again."""

    NOTHING = "nothing"
    NEW_TOKEN = "new token"  # noqa: S105
    NEW_CONNECTION = "new connection"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a reason means."""

    #: What the caller should do, if this is where it ends.
    action: Action
    #: Seconds before the next try, doubled with each further one; None: it ends here.
    pause: float | None = None
    before: Before = Before.NOTHING
    #: The most tries again that make sense; None: as many as the app's settings allow.
    limit: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether trying again is useless."""
        return self.pause is None


NO_RULE: Final = Rule(Action.NONE)
FIX_REQUEST: Final = Rule(Action.FIX_REQUEST)
FIX_CONFIG: Final = Rule(Action.FIX_CONFIG)
DROP_TOKEN: Final = Rule(Action.DROP_TOKEN)
SLOW: Final = Rule(Action.RETRY_LATER, pause=10.0)
GATEWAY: Final = Rule(Action.RETRY_LATER, pause=30.0)
QUOTA: Final = Rule(Action.RETRY_LATER, pause=60.0)
UNKNOWN_ERROR: Final = Rule(Action.RETRY_LATER, pause=10.0, limit=2)
NEW_CONNECTION: Final = Rule(Action.RETRY_LATER, pause=0.0, before=Before.NEW_CONNECTION)
NEW_PROVIDER_TOKEN: Final = Rule(Action.FIX_CONFIG, pause=0.0, before=Before.NEW_TOKEN, limit=2)
NEW_ACCESS_TOKEN: Final = Rule(Action.FIX_CONFIG, pause=0.0, before=Before.NEW_TOKEN, limit=1)
#: No answer came: the connection was lost, or could not be made.
UNANSWERED: Final = Rule(Action.RETRY_LATER, pause=1.0)

APNS_RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "BadCollapseId": FIX_REQUEST,
        "BadDeviceToken": DROP_TOKEN,
        "BadExpirationDate": FIX_REQUEST,
        "BadMessageId": FIX_REQUEST,
        "BadPriority": FIX_REQUEST,
        "BadTopic": FIX_CONFIG,
        "DeviceTokenNotForTopic": DROP_TOKEN,
        "DuplicateHeaders": FIX_REQUEST,
        "IdleTimeout": NEW_CONNECTION,
        "InvalidPushType": FIX_REQUEST,
        "MissingDeviceToken": FIX_REQUEST,
        "MissingTopic": FIX_CONFIG,
        "PayloadEmpty": FIX_REQUEST,
        "TopicDisallowed": FIX_CONFIG,
        "BadCertificate": FIX_CONFIG,
        "BadCertificateEnvironment": FIX_CONFIG,
        "BadEnvironmentKeyIdInToken": FIX_CONFIG,
        "BadEnvironmentKeyInToken": FIX_CONFIG,
        "ExpiredProviderToken": NEW_PROVIDER_TOKEN,
        "Forbidden": FIX_CONFIG,
        "InvalidProviderToken": FIX_CONFIG,
        "MissingProviderToken": FIX_CONFIG,
        "UnrelatedKeyIdInToken": NEW_CONNECTION,
        "BadPath": FIX_REQUEST,
        "MethodNotAllowed": FIX_REQUEST,
        "ExpiredToken": DROP_TOKEN,
        "Unregistered": DROP_TOKEN,
        "PayloadTooLarge": FIX_REQUEST,
        "TooManyProviderTokenUpdates": SLOW,
        "TooManyRequests": SLOW,
        "InternalServerError": SLOW,
        "ServiceUnavailable": SLOW,
        "Shutdown": NEW_CONNECTION,
    }
)

FCM_RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "UNSPECIFIED_ERROR": UNKNOWN_ERROR,
        "INVALID_ARGUMENT": FIX_REQUEST,
        "UNREGISTERED": DROP_TOKEN,
        "SENDER_ID_MISMATCH": FIX_CONFIG,
        "QUOTA_EXCEEDED": QUOTA,
        "UNAVAILABLE": SLOW,
        "INTERNAL": SLOW,
        fcm.THIRD_PARTY_AUTH_ERROR: FIX_CONFIG,
        # Without an FcmError, and so not about the device: see wire.fcm.GENERAL_REASONS.
        "BAD_REQUEST": FIX_REQUEST,
        "UNAUTHENTICATED": NEW_ACCESS_TOKEN,
        "PERMISSION_DENIED": FIX_CONFIG,
        "NOT_FOUND": FIX_CONFIG,
        "RESOURCE_EXHAUSTED": QUOTA,
    }
)

#: The binary gateway's statuses by name; some names are those of the HTTP/2 API and mean the same.
GATEWAY_RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "NoErrors": UNKNOWN_ERROR,
        "ProcessingError": SLOW,
        "MissingDeviceToken": FIX_REQUEST,
        "MissingTopic": FIX_CONFIG,
        "MissingPayload": FIX_REQUEST,
        "InvalidTokenSize": FIX_REQUEST,
        "InvalidTopicSize": FIX_CONFIG,
        "InvalidPayloadSize": FIX_REQUEST,
        "InvalidToken": DROP_TOKEN,
        "ProtocolError": FIX_REQUEST,
        "Unknown": UNKNOWN_ERROR,
    }
)

GCM_RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "MissingRegistration": FIX_REQUEST,
        "InvalidRegistration": DROP_TOKEN,
        "NotRegistered": DROP_TOKEN,
        "InvalidPackageName": FIX_REQUEST,
        "MismatchSenderId": FIX_CONFIG,
        "InvalidParameters": FIX_REQUEST,
        "MessageTooBig": FIX_REQUEST,
        "InvalidDataKey": FIX_REQUEST,
        "InvalidTtl": FIX_REQUEST,
        "Unavailable": SLOW,
        "InternalServerError": SLOW,
        "DeviceMessageRateExceeded": QUOTA,
        "TopicsMessageRateExceeded": QUOTA,
        "InvalidApnsCredential": FIX_CONFIG,
        # For a request as a whole: see wire.gcm.STATUS_REASONS.
        "InvalidRequest": FIX_REQUEST,
        "InvalidApiKey": FIX_CONFIG,
    }
)

#: Our own word for a device that was not sent to, since it is known to be dead.
KNOWN_DEAD: Final = "KnownDead"
#: What we ourselves say of a push that got no answer; all else is `UNANSWERED`.
OWN_RULES: Final[Mapping[str, Rule]] = MappingProxyType({KNOWN_DEAD: DROP_TOKEN})

RULES: Final[Mapping[Provider, Mapping[str, Rule]]] = MappingProxyType(
    {
        APNS: {**GATEWAY_RULES, **APNS_RULES, **OWN_RULES},
        GCM: {**GCM_RULES, **FCM_RULES, **OWN_RULES},
    }
)
#: For reasons that no table has, by HTTP status.
STATUS_RULES: Final[Mapping[int, Rule]] = MappingProxyType(
    {
        400: FIX_REQUEST,
        401: FIX_CONFIG,
        403: FIX_CONFIG,
        404: FIX_CONFIG,
        405: FIX_REQUEST,
        408: SLOW,
        410: DROP_TOKEN,
        413: FIX_REQUEST,
        429: QUOTA,
        502: GATEWAY,
    }
)

#: Reasons that are about all pushes of an app.
OF_THE_APP: Final = frozenset(
    {"QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", "TooManyProviderTokenUpdates"}
)
#: HTTP status of a service that is overloaded.
UNAVAILABLE: Final = 503


def rule_for(provider: Provider, verdict: Verdict) -> Rule:
    """Return what a provider's answer, or the lack of one, means."""
    if verdict.status is None:
        return OWN_RULES.get(verdict.reason or "", UNANSWERED)
    if verdict.reason is None:
        return NO_RULE
    rule = RULES[provider].get(verdict.reason) or STATUS_RULES.get(verdict.status)
    if rule:
        return rule
    return SLOW if verdict.status >= 500 else FIX_REQUEST  # noqa: PLR2004


def silence_after(provider: Provider, verdict: Verdict) -> float:
    """Return the seconds for which an answer asks the whole app to send nothing; 0 if it does not.

    A Retry-After with 503 speaks of the whole service, whatever the device. Apple's
    TooManyRequests, a 429 too, is about one device.
    """
    if verdict.reason in OF_THE_APP:
        return verdict.retry_after or rule_for(provider, verdict).pause or 0.0
    return (verdict.retry_after or 0.0) if verdict.status == UNAVAILABLE else 0.0


def pause_before(rule: Rule, tries: int, retry_after: float | None, chance: float) -> float:
    """Return the seconds to wait before a push goes out again.

    Args:
        rule: What its failure means; not final.
        tries: How often it has been tried again already, from 0.
        retry_after: Seconds that the provider asks for instead; never undercut.
        chance: From 0 to 1, what spreads the pauses.
    """
    first = (rule.pause if retry_after is None else retry_after) or 0.0
    pause = first * 2**tries if first else float(2 ** (tries - 1) if tries else 0)
    return max(min(pause, LONGEST_PAUSE), retry_after or 0.0) * (1 + JITTER * chance)
