"""One rejection, each provider's own word for it, so that a scripted token means the same to all.

Sources: Apple, "Handling notification responses from APNs"; Google, "FCM Error Codes" and the
legacy HTTP reference.
"""

from typing import Final, NamedTuple

from pushtasks.wire import apns_http2, fcm


class Words(NamedTuple):
    """What APNs, FCM v1 and GCM call the same thing."""

    apns: str
    fcm: str
    gcm: str


#: Where a word stands in several rows, the first counts.
_ROWS: Final = (
    Words("Unregistered", "UNREGISTERED", "NotRegistered"),
    Words("ExpiredToken", "UNREGISTERED", "NotRegistered"),
    Words("BadDeviceToken", "INVALID_ARGUMENT", "InvalidRegistration"),
    Words("MissingDeviceToken", "INVALID_ARGUMENT", "MissingRegistration"),
    Words("PayloadTooLarge", "INVALID_ARGUMENT", "MessageTooBig"),
    Words("DeviceTokenNotForTopic", "SENDER_ID_MISMATCH", "MismatchSenderId"),
    Words("TooManyRequests", "QUOTA_EXCEEDED", "DeviceMessageRateExceeded"),
    Words("ServiceUnavailable", "UNAVAILABLE", "Unavailable"),
    Words("InternalServerError", "INTERNAL", "InternalServerError"),
    Words("BadCertificate", "THIRD_PARTY_AUTH_ERROR", "InvalidApnsCredential"),
)
_ROW_OF: Final = {word: row for row in reversed(_ROWS) for word in row}
#: The status of a reason that nobody knows.
UNKNOWN_STATUS: Final = 400


def apns_word(reason: str) -> str:
    """Return APNs' word for what any provider calls so; an unknown one as it is."""
    return reason if reason in apns_http2.REASONS or reason not in _ROW_OF else _ROW_OF[reason].apns


def fcm_word(reason: str) -> str:
    """Return FCM's word for what any provider calls so; an unknown one as it is."""
    return reason if reason in fcm.ERROR_CODES or reason not in _ROW_OF else _ROW_OF[reason].fcm


def apns_status(word: str) -> int:
    """Return the HTTP status that goes with a word of APNs."""
    return apns_http2.REASONS.get(word) or apns_http2.CHANNEL_REASONS.get(word, UNKNOWN_STATUS)
