"""That a form which changes something is one of ours: what it changes, sealed with a secret.

Other sites can make a browser send a form to us, with its password even; they cannot read the page
and so do not know the seal. All processes share the secret, so any of them accepts it. Pure.
"""

import hashlib
import hmac


def seal(secret: str, action: str) -> str:
    """Return what a form carries.

    Args:
        secret: Known to us alone.
        action: What the form does, and to what.
    """
    return hmac.new(secret.encode(), action.encode(), hashlib.sha256).hexdigest()


def is_genuine(given: str, secret: str, action: str) -> bool:
    """Return whether a form was ours; it takes the same time in any case."""
    return hmac.compare_digest(given.encode(), seal(secret, action).encode())


def cancelling(fanout_id: str) -> str:
    """Return the action of the form that cancels a fan-out."""
    return f"cancel fan-out {fanout_id}"
