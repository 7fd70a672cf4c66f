"""Pure: reasons as labels, of which there must be few, whatever a provider comes to say."""

from typing import Final

from pushtasks.feedback.ledger import REFUSED
from pushtasks.retries import RULES

#: No answer came; why, the log says in words of libcurl.
UNANSWERED: Final = "unanswered"
#: A provider has said what none has said so far.
OTHER: Final = "other"

_KNOWN: Final = frozenset().union(*RULES.values()) | {REFUSED}


def reason_label(reason: str | None, status: int | None = None) -> str:
    """Return a label for a reason: itself if it is a provider's known word, else what kind it is.

    Args:
        reason: The provider's word, or why no answer came; None if it accepted.
        status: HTTP status; None if no answer came, or if it is not known.
    """
    if reason is None:
        return ""
    if reason in _KNOWN:
        return reason
    return OTHER if status is not None else UNANSWERED
