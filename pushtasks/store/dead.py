"""Pure: how known-dead tokens are kept in a sorted set.

A token's score holds two instants, so that one set does: in its high part the hour in which the
news came, by which old ones are dropped; in its low part the second since when the token is dead. A
score is a double, exact up to 53 bits: 33 for the second (until 2242) leave 20 for the hour (until
2089).
"""

import re
from datetime import UTC, datetime
from typing import Final

from pushtasks.results import APNS, Provider

_SECOND_BITS: Final = 33
_DEBUG_FORM: Final = re.compile(r"[\s<>]")


def score(seen_at: datetime, dead_since: datetime | None) -> int:
    """Return the score of a token; unless known since when it is dead, since it was seen."""
    since = seen_at if dead_since is None else dead_since
    hour = int(seen_at.timestamp()) // 3600
    return (hour << _SECOND_BITS) + max(0, int(since.timestamp()))


def dead_since(value: float) -> datetime:
    """Return since when a token of that score is dead, to the second."""
    return datetime.fromtimestamp(int(value) % (1 << _SECOND_BITS), UTC)


def member(provider: Provider, token: str) -> str:
    """Return the one spelling of a token: at Apple lower-case hexadecimal digits."""
    return _DEBUG_FORM.sub("", token).lower() if provider == APNS else token
