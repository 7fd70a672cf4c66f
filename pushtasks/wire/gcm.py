"""GCM and the FCM legacy protocol over HTTP: endpoints, fields, limits and errors.

Google switched GCM off in 2019 and FCM's legacy protocol from 22 July 2024 on; private relays and
test benches still speak them.

Sources: Google, Firebase Cloud Messaging HTTP protocol (legacy) reference; `docs/html/google/gcm`
of the Android platform's sources.
"""

from types import MappingProxyType
from typing import Final

#: The endpoint of 2012; a private relay has its own.
URL: Final = "https://android.googleapis.com/gcm/send"
PATHS: Final = frozenset({"/gcm/send", "/fcm/send"})
#: Header `authorization`, with the API key (server key) after it.
AUTHORIZATION: Final = "key={api_key}"

JSON_TYPE: Final = "application/json"
#: What a request without any Content-Type counts as, too.
FORM_TYPE: Final = "application/x-www-form-urlencoded;charset=UTF-8"

# Limits ---------------------------------------------------------------------------------------

#: Registration ids of one JSON request.
REGISTRATION_IDS_LIMIT: Final = 1000
#: Bytes.
PAYLOAD_LIMIT: Final = 4096
TOPIC_PAYLOAD_LIMIT: Final = 2048
#: Seconds.
TIME_TO_LIVE_LIMIT: Final = 2_419_200
TOPIC_PREFIX: Final = "/topics/"

# Errors ---------------------------------------------------------------------------------------

#: Names of errors in results, which come with status 200.
ERRORS: Final = frozenset(
    {
        "MissingRegistration",
        "InvalidRegistration",
        "NotRegistered",
        "InvalidPackageName",
        "MismatchSenderId",
        "InvalidParameters",
        "MessageTooBig",
        "InvalidDataKey",
        "InvalidTtl",
        "Unavailable",
        "InternalServerError",
        "DeviceMessageRateExceeded",
        "TopicsMessageRateExceeded",
        "InvalidApnsCredential",
    }
)
#: HTTP status → our word for an answer that has no body to go by.
STATUS_REASONS: Final = MappingProxyType({400: "InvalidRequest", 401: "InvalidApiKey"})
#: The reason of any other answer.
UNNAMED_REASON: Final = "HTTP {status}"
