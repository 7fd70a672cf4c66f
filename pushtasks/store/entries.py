"""Entries of the feedback stream as redis-py returns them, and as news."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pushtasks.news import Entry
from pushtasks.store import keys

logger = logging.getLogger(__name__)

#: Id and fields; no fields if the entry was trimmed.
RawEntry = tuple[str, Mapping[str, str] | None]


def entries_in(answer: Any) -> Sequence[RawEntry]:
    """Return the entries of our stream in what XREADGROUP answered, in RESP 2 or 3."""
    if not answer:
        return []
    if isinstance(answer, Mapping):
        [[entries]] = answer.values()
    else:
        [(_, entries)] = answer
    return entries  # type: ignore[no-any-return]


def order_of(entry_id: str) -> tuple[int, int]:
    """Return the id of an entry in a form in which ids can be compared."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def read_entry(id_: str, fields: Mapping[str, str]) -> Entry | None:
    """Return an entry as news; None, and a warning, if this version cannot read it."""
    try:
        return Entry.from_dict({**json.loads(fields[keys.NEWS_FIELD]), "id": id_})
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("feedback stream: entry %s is not readable (%s); left alone", id_, error)
        return None
