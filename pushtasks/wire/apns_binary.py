"""APNs' binary gateway and feedback service: hosts, frames, statuses, sizes.

Apple switched both off on 31 March 2021; private gateways and test benches still speak them. All
integers are big-endian.

Sources: Apple (archived), "Binary Provider API" and "Legacy Notification Format"; Technical Note
TN2265.
"""

from types import MappingProxyType
from typing import Final

# Hosts ----------------------------------------------------------------------------------------

GATEWAY_HOSTS: Final = MappingProxyType(
    {"production": "gateway.push.apple.com", "sandbox": "gateway.sandbox.push.apple.com"}
)
FEEDBACK_HOSTS: Final = MappingProxyType(
    {"production": "feedback.push.apple.com", "sandbox": "feedback.sandbox.push.apple.com"}
)
GATEWAY_PORT: Final = 2195
FEEDBACK_PORT: Final = 2196

# Requests -------------------------------------------------------------------------------------

#: Command, token length, token, payload length, payload.
SIMPLE: Final = 0
#: The same with an identifier and an expiry, 4 bytes each, after the command.
ENHANCED: Final = 1
#: Command, frame length (4 bytes, what follows them), then items: id (1), length (2), data.
FRAMED: Final = 2
COMMANDS: Final = (SIMPLE, ENHANCED, FRAMED)

DEVICE_TOKEN_ITEM: Final = 1
PAYLOAD_ITEM: Final = 2
IDENTIFIER_ITEM: Final = 3
EXPIRATION_ITEM: Final = 4
PRIORITY_ITEM: Final = 5

#: Bytes that a device token has in practice, and that Apple documents at the most.
DEVICE_TOKEN_SIZE: Final = 32
DEVICE_TOKEN_LIMIT: Final = 100
#: Bytes of payload by command: 256 until iOS 8 (2014), and ever after with the older commands.
PAYLOAD_LIMITS: Final = MappingProxyType({SIMPLE: 256, ENHANCED: 256, FRAMED: 2048})
PRIORITIES: Final = frozenset({5, 10})
IDENTIFIER_MAX: Final = 0xFFFF_FFFF
#: Identifier of the deliberately bad notification whose rejection confirms all before it.
SENTINEL: Final = 0xFFFF_FFFF

# Error response -------------------------------------------------------------------------------

#: Command, status, identifier; then the gateway closes.
ERROR_COMMAND: Final = 8
ERROR_SIZE: Final = 6

NO_ERRORS: Final = 0
PROCESSING_ERROR: Final = 1
MISSING_DEVICE_TOKEN: Final = 2
INVALID_TOKEN: Final = 8
#: No rejection: the identifier is that of the last notification that was processed.
SHUTDOWN: Final = 10
PROTOCOL_ERROR: Final = 128
UNKNOWN: Final = 255

#: Status → Apple's name for it, in the form of the reasons of the HTTP/2 API.
STATUSES: Final = MappingProxyType(
    {
        NO_ERRORS: "NoErrors",
        PROCESSING_ERROR: "ProcessingError",
        MISSING_DEVICE_TOKEN: "MissingDeviceToken",
        3: "MissingTopic",
        4: "MissingPayload",
        5: "InvalidTokenSize",
        6: "InvalidTopicSize",
        7: "InvalidPayloadSize",
        INVALID_TOKEN: "InvalidToken",
        SHUTDOWN: "Shutdown",
        PROTOCOL_ERROR: "ProtocolError",
        UNKNOWN: "Unknown",
    }
)

# Feedback -------------------------------------------------------------------------------------

#: Bytes before a record's token: timestamp (seconds, 4) and token length (2).
FEEDBACK_HEADER_SIZE: Final = 6
