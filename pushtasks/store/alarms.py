"""What an operator must know of the feedback stream."""

import logging
from typing import Final

from pushtasks.store.tallies import Noted

logger = logging.getLogger(__name__)

_WAY_OUT: Final = "read it, raise feedback.length, or XGROUP DESTROY a group that is gone"


def warn(noted: Noted, length: int) -> None:
    """Log that the stream is nearly full of unread entries, or that some had to go.

    Args:
        noted: What a tally has set off.
        length: The entries that are kept at the most.
    """
    reader = "nobody reads it" if noted.reader == "-" else f"group {noted.reader!r} is behind"
    if noted.lost:
        logger.error(
            "feedback stream: full; %d unread entries had to go (%s); %s",
            noted.lost,
            reader,
            _WAY_OUT,
        )
    if noted.size:
        logger.warning(
            "feedback stream: %d of %d entries, the oldest unread (%s); %s",
            noted.size,
            length,
            reader,
            _WAY_OUT,
        )
