"""One rejection, each provider's own word for it, so that a scripted token means the same to all.

Sources: Apple, "Handling notification responses from APNs"; Google, "FCM Error Codes" and the
legacy HTTP reference; Apple (archived), "Binary Provider API".
"""

from typing import Final, NamedTuple

from pushtasks.wire import apns_binary, apns_http2, fcm, gcm


class Words(NamedTuple):
    """What APNs, FCM v1, GCM and the binary gateway call the same thing."""

    apns: str
    fcm: str
    gcm: str
    gateway: str


#: Where a word stands in several rows, the first counts.
_ROWS: Final = (
    Words("BadDeviceToken", "INVALID_ARGUMENT", "InvalidRegistration", "InvalidToken"),
    Words("Unregistered", "UNREGISTERED", "NotRegistered", "InvalidToken"),
    Words("ExpiredToken", "UNREGISTERED", "NotRegistered", "InvalidToken"),
    Words("MissingDeviceToken", "INVALID_ARGUMENT", "MissingRegistration", "MissingDeviceToken"),
    Words("PayloadTooLarge", "INVALID_ARGUMENT", "MessageTooBig", "InvalidPayloadSize"),
    Words("DeviceTokenNotForTopic", "SENDER_ID_MISMATCH", "MismatchSenderId", "InvalidToken"),
    Words("InternalServerError", "INTERNAL", "InternalServerError", "ProcessingError"),
    Words("ServiceUnavailable", "UNAVAILABLE", "Unavailable", "ProcessingError"),
    Words("TooManyRequests", "QUOTA_EXCEEDED", "DeviceMessageRateExceeded", "ProcessingError"),
    Words("BadCertificate", "THIRD_PARTY_AUTH_ERROR", "InvalidApnsCredential", "MissingTopic"),
)
_ROW_OF: Final = {word: row for row in reversed(_ROWS) for word in row}
_STATUS_OF: Final = {name: status for status, name in apns_binary.STATUSES.items()}
#: The HTTP status of a reason that nobody knows.
UNKNOWN_STATUS: Final = 400


def apns_word(reason: str) -> str:
    """Return APNs' word for what any provider calls so; an unknown one as it is."""
    return reason if reason in apns_http2.REASONS or reason not in _ROW_OF else _ROW_OF[reason].apns


def fcm_word(reason: str) -> str:
    """Return FCM's word for what any provider calls so; an unknown one as it is."""
    return reason if reason in fcm.ERROR_CODES or reason not in _ROW_OF else _ROW_OF[reason].fcm


def gcm_word(reason: str) -> str:
    """Return GCM's word for what any provider calls so; an unknown one as it is."""
    return reason if reason in gcm.ERRORS or reason not in _ROW_OF else _ROW_OF[reason].gcm


def gateway_status(reason: str) -> int:
    """Return the gateway's status for what any provider calls so, 255 for what it does not know."""
    if reason not in _STATUS_OF and reason in _ROW_OF:
        reason = _ROW_OF[reason].gateway
    return _STATUS_OF.get(reason, apns_binary.UNKNOWN)


def apns_status(word: str) -> int:
    """Return the HTTP status that goes with a word of APNs."""
    return apns_http2.REASONS.get(word) or apns_http2.CHANNEL_REASONS.get(word, UNKNOWN_STATUS)
