"""Pure: entries that can never be sent, as the dead-letter list keeps them.

A dead letter is a JSON object: `entry` (the entry as it was), `reason`, `at` (ISO 8601, UTC), and
`cut`, true if the entry was too long to be kept whole.
"""

import json
from datetime import datetime
from typing import Any, Final, NamedTuple

#: Dead letters that are kept; the oldest make room.
LIMIT: Final = 10_000
#: Characters of an entry that are kept. Whatever can be sent is shorter.
LONGEST: Final = 16 * 1024


class Broken(NamedTuple):
    """An entry that cannot be sent."""

    text: str
    #: Device tokens in it are masked.
    reason: str


def write_letter(broken: Broken, at: datetime) -> str:
    """Return a dead letter.

    Args:
        broken: The entry; bytes in it that are no UTF-8 as lone surrogates, which JSON can escape.
        at: When it was found; aware.
    """
    letter: dict[str, Any] = {
        "entry": broken.text[:LONGEST],
        "reason": broken.reason,
        "at": at.isoformat(),
    }
    if len(broken.text) > LONGEST:
        letter["cut"] = True
    return json.dumps(letter)


def entry_of(letter: str) -> str | None:
    """Return the entry of a dead letter; None if it is not whole, or this is none."""
    try:
        values = json.loads(letter)
        entry = values["entry"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return entry if isinstance(entry, str) and not values.get("cut") else None
