"""Device tokens as they may be shown: the first few characters only."""

from typing import Final

VISIBLE: Final = 6


def mask(token: str) -> str:
    """Return what logs, events and error messages may show of a device token or registration id."""
    return token if len(token) <= VISIBLE else token[:VISIBLE] + "…"
