"""Device tokens in the one form in which a table keeps them, and feedback finds them."""

from pushtasks.apns.notification import device_token
from pushtasks.errors import InvalidPush
from pushtasks.fcm.message import target
from pushtasks.masking import mask
from pushtasks.results import APNS
from pushtasks.wire.gcm import TOPIC_PREFIX


def tidy(provider: str, token: str) -> str:
    """Return a token without white space around it; Apple's in lower case.

    Args:
        provider: `apns` or `gcm`.
        token: As the device gave it.

    Raises:
        InvalidPush: It is no device token, or no registration id.
    """
    if provider == APNS:
        return device_token(token)
    token = token.strip()
    if token.startswith(TOPIC_PREFIX):
        raise InvalidPush(f"registration id {mask(token)!r} is a topic: give that of one device")
    target(token)
    return token


def spellings(provider: str, token: str) -> set[str]:
    """Return how a table may spell a token that a provider has named."""
    try:
        return {token, tidy(provider, token)}
    except InvalidPush:  # a table may hold anything, and a provider may reject it
        return {token}
