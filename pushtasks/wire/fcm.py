"""FCM HTTP v1: endpoint, OAuth, message fields, limits and error codes.

Sources: Google, REST reference of projects.messages and projects.messages.send; ErrorCode; "Best
practices when sending FCM messages at scale"; "Using OAuth 2.0 for server to server applications".
"""

from types import MappingProxyType
from typing import Final

SERVER: Final = "https://fcm.googleapis.com"
SEND_PATH: Final = "/v1/projects/{project}/messages:send"

# OAuth ----------------------------------------------------------------------------------------

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Google's token server. google-auth names it as the audience of its assertions even where a
#: service account names another `token_uri`.
TOKEN_URI: Final = "https://oauth2.googleapis.com/token"
#: Seconds, the longest life of the assertion that is traded for an access token.
ASSERTION_MAX_AGE: Final = 3600

# Message fields -------------------------------------------------------------------------------

#: Exactly one of them is in a message.
TARGETS: Final = frozenset({"token", "topic", "condition", "fid"})
#: Everything of a message but its target. Google, "Migrate from FCM HTTP v1 API to AndroidConfigV2"
#: (2026), adds `android_v2`.
MESSAGE_FIELDS: Final = frozenset(
    {"android", "android_v2", "apns", "data", "fcm_options", "notification", "webpush"}
)
NOTIFICATION_FIELDS: Final = frozenset({"title", "body", "image"})
ANDROID_FIELDS: Final = frozenset(
    {
        "bandwidth_constrained_ok",
        "collapse_key",
        "data",
        "direct_boot_ok",
        "fcm_options",
        "notification",
        "priority",
        "restricted_package_name",
        "restricted_satellite_ok",
        "ttl",
    }
)
ANDROID_NOTIFICATION_FIELDS: Final = frozenset(
    {
        "body",
        "body_loc_args",
        "body_loc_key",
        "channel_id",
        "click_action",
        "color",
        "default_light_settings",
        "default_sound",
        "default_vibrate_timings",
        "event_time",
        "icon",
        "image",
        "light_settings",
        "local_only",
        "notification_count",
        "notification_priority",
        "proxy",
        "sound",
        "sticky",
        "tag",
        "ticker",
        "title",
        "title_loc_args",
        "title_loc_key",
        "vibrate_timings",
        "visibility",
    }
)
APNS_FIELDS: Final = frozenset({"fcm_options", "headers", "live_activity_token", "payload"})
WEBPUSH_FIELDS: Final = frozenset({"data", "fcm_options", "headers", "notification"})

#: Keys of `data` that Google keeps for itself, and the beginnings that it keeps.
RESERVED_DATA_KEYS: Final = frozenset({"from", "message_type"})
RESERVED_DATA_PREFIXES: Final = ("google", "gcm")

TOPIC_PATTERN: Final = r"[a-zA-Z0-9\-_.~%]+"
CONDITION_TOPIC_LIMIT: Final = 5
#: The message id that a request with `validate_only` is answered with.
VALIDATED_MESSAGE_ID: Final = "fake_message_id"

# Limits ---------------------------------------------------------------------------------------

#: Bytes, of the notification and data together.
PAYLOAD_LIMIT: Final = 4096
TOPIC_PAYLOAD_LIMIT: Final = 2048
#: Seconds.
TIME_TO_LIVE_LIMIT: Final = 2_419_200
ANALYTICS_LABEL_LIMIT: Final = 50
#: Streams that FCM allows on one connection (bloomberg/pushiko).
STREAMS: Final = 100

# Answers --------------------------------------------------------------------------------------

#: The `@type` of the one entry of `error.details` that says what happened.
ERROR_TYPE: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST_TYPE: Final = "type.googleapis.com/google.rpc.BadRequest"
ERROR_INFO_TYPE: Final = "type.googleapis.com/google.rpc.ErrorInfo"

#: `errorCode` → (HTTP status, `error.status`).
ERROR_CODES: Final = MappingProxyType(
    {
        "UNSPECIFIED_ERROR": (500, "UNKNOWN"),
        "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
        "UNREGISTERED": (404, "NOT_FOUND"),
        "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
        "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
        "UNAVAILABLE": (503, "UNAVAILABLE"),
        "INTERNAL": (500, "INTERNAL"),
        "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED"),
    }
)
THIRD_PARTY_AUTH_ERROR: Final = "THIRD_PARTY_AUTH_ERROR"
#: An older name of it that senders still meet (firebase-admin-python).
APNS_AUTH_ERROR: Final = "APNS_AUTH_ERROR"

#: HTTP status → our word for an answer without an FcmError, whatever its body. With an FcmError
#: these statuses may speak of the device token or of Apple's credentials; without one they speak of
#: a malformed request, our own access token, our project's rights, a wrong path (firebase-admin-go
#: issue 354, firebase-admin-node issues 2970 and 3215).
GENERAL_REASONS: Final = MappingProxyType(
    {
        400: "BAD_REQUEST",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
    }
)
#: HTTP status → `error.status` that says the same with and without an FcmError: try again later.
PASSING_STATUSES: Final = MappingProxyType(
    {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
)
#: The reason of any other answer, which is not one of Google's: a gateway's page, an empty body.
UNNAMED_REASON: Final = "HTTP {status}"
