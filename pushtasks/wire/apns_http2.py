"""The APNs provider API over HTTP/2: hosts, headers, push types, limits and reasons.

Sources: Apple, "Sending notification requests to APNs", "Handling notification responses from
APNs", "Establishing a token-based connection to APNs" and "Sending broadcast push notifications".
"""

from types import MappingProxyType
from typing import Final

# Hosts and ports ------------------------------------------------------------------------------

HOSTS: Final = MappingProxyType(
    {"production": "api.push.apple.com", "sandbox": "api.sandbox.push.apple.com"}
)
PORT: Final = 443

#: Apple's prose lets broadcasts go to the ordinary hosts, its samples name these.
BROADCAST_HOSTS: Final = MappingProxyType(
    {
        "production": "api-broadcast.push.apple.com",
        "sandbox": "api-broadcast.sandbox.push.apple.com",
    }
)
CHANNEL_HOSTS: Final = MappingProxyType(
    {
        "production": "api-manage-broadcast.push.apple.com",
        "sandbox": "api-manage-broadcast.sandbox.push.apple.com",
    }
)
CHANNEL_PORTS: Final = MappingProxyType({"production": 2196, "sandbox": 2195})

DEVICE_PATH: Final = "/3/device/"
BROADCAST_PATH: Final = "/4/broadcasts/apps/"
CHANNELS_PATH: Final = "/1/apps/{bundle_id}/channels"
ALL_CHANNELS_PATH: Final = "/1/apps/{bundle_id}/all-channels"

# Headers --------------------------------------------------------------------------------------

AUTHORIZATION: Final = "authorization"
TOPIC: Final = "apns-topic"
PUSH_TYPE: Final = "apns-push-type"
ID: Final = "apns-id"
EXPIRATION: Final = "apns-expiration"
PRIORITY: Final = "apns-priority"
COLLAPSE_ID: Final = "apns-collapse-id"
CHANNEL_ID: Final = "apns-channel-id"
REQUEST_ID: Final = "apns-request-id"
UNIQUE_ID: Final = "apns-unique-id"

#: Bytes of UTF-8.
COLLAPSE_ID_LIMIT: Final = 64

PRIORITIES: Final = frozenset({1, 5, 10})
#: The only priority that APNs takes for a background push.
BACKGROUND_PRIORITY: Final = 5
LIVE_ACTIVITY_PRIORITIES: Final = frozenset({5, 10})

#: What APNs appends to the bundle id, by push type. The topic of `mdm` is no bundle id at all.
TOPIC_SUFFIXES: Final = MappingProxyType(
    {
        "alert": "",
        "background": "",
        "complication": ".complication",
        "controls": ".push-type.controls",
        "fileprovider": ".pushkit.fileprovider",
        "liveactivity": ".push-type.liveactivity",
        "location": ".location-query",
        "mdm": "",
        "pushtotalk": ".voip-ptt",
        "voip": ".voip",
        "widgets": ".push-type.widgets",
    }
)
PUSH_TYPES: Final = frozenset(TOPIC_SUFFIXES)

# Limits ---------------------------------------------------------------------------------------

#: Bytes of JSON; push types that are not named take PAYLOAD_LIMIT.
PAYLOAD_LIMIT: Final = 4096
PAYLOAD_LIMITS: Final = MappingProxyType({"voip": 5120})
BROADCAST_PAYLOAD_LIMIT: Final = 5120

#: Streams on a connection authenticated by token, until its first push is accepted.
INITIAL_STREAMS: Final = 1
#: First SETTINGS seen of the live service (jchambers/pushy, issue 878).
STREAMS: Final = 1000

#: Seconds. A provider token may be renewed no more often, and must be no less often.
PROVIDER_TOKEN_MIN_AGE: Final = 20 * 60
PROVIDER_TOKEN_MAX_AGE: Final = 60 * 60
PROVIDER_TOKEN_ALGORITHM: Final = "ES256"
#: Characters of a key id and of a team id.
KEY_ID_LENGTH: Final = 10

#: Extensions of a client certificate that name its topics, those of VoIP in one of their own.
TOPICS_EXTENSION: Final = "1.2.840.113635.100.6.3.6"
VOIP_TOPICS_EXTENSION: Final = "1.2.840.113635.100.6.3.4"

LIVE_ACTIVITY_EVENTS: Final = frozenset({"start", "update", "end"})
CHANNEL_STORAGE_POLICIES: Final = MappingProxyType({"none": 0, "newest": 1})
CHANNEL_PUSH_TYPE: Final = "LiveActivity"

# Answers --------------------------------------------------------------------------------------

#: Every documented reason with its HTTP status.
REASONS: Final = MappingProxyType(
    {
        "BadCollapseId": 400,
        "BadDeviceToken": 400,
        "BadExpirationDate": 400,
        "BadMessageId": 400,
        "BadPriority": 400,
        "BadTopic": 400,
        "DeviceTokenNotForTopic": 400,
        "DuplicateHeaders": 400,
        "IdleTimeout": 400,
        "InvalidPushType": 400,
        "MissingDeviceToken": 400,
        "MissingTopic": 400,
        "PayloadEmpty": 400,
        "TopicDisallowed": 400,
        "BadCertificate": 403,
        "BadCertificateEnvironment": 403,
        "BadEnvironmentKeyIdInToken": 403,
        "BadEnvironmentKeyInToken": 403,  # the spelling seen live (APNSwift, pull request 229)
        "ExpiredProviderToken": 403,
        "Forbidden": 403,
        "InvalidProviderToken": 403,
        "MissingProviderToken": 403,
        "UnrelatedKeyIdInToken": 403,
        "BadPath": 404,
        "MethodNotAllowed": 405,
        "ExpiredToken": 410,
        "Unregistered": 410,
        "PayloadTooLarge": 413,
        "TooManyProviderTokenUpdates": 429,
        "TooManyRequests": 429,
        "InternalServerError": 500,
        "ServiceUnavailable": 503,
        "Shutdown": 503,
    }
)

#: What broadcasts and channel requests may be told beside those.
CHANNEL_REASONS: Final = MappingProxyType(
    {
        "FeatureNotEnabled": 400,
        "MissingChannelId": 400,
        "BadChannelId": 400,
        "ChannelNotRegistered": 400,
        "BadRequestParams": 400,
        "BadRequestPayload": 400,
        "MissingPushType": 400,
        "CannotCreateChannelConfig": 400,
        "TopicMismatch": 403,
    }
)
