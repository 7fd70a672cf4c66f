"""Pure: what a source of devices holds, one record for each, and the texts that records come in.

A record of a text is one line: a device token alone, a row of CSV, or a JSON value. A line stands
for itself, so that one that is broken takes no other with it; a quoted cell of CSV therefore ends
where its line ends.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pushtasks.errors import InvalidPush
from pushtasks.sending.arguments import OVERRIDES

CSV: Final = "csv"
JSON_LINES: Final = "jsonl"
LINES: Final = "lines"
FORMATS: Final = (CSV, JSON_LINES, LINES)
#: By the end of a file's name; any other file is looked into.
BY_SUFFIX: Final = {
    ".csv": CSV,
    ".tsv": CSV,
    ".json": JSON_LINES,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
}

#: What a column of CSV, or a key of a JSON object, that holds the device may be called.
TOKEN_NAMES: Final = (
    "token",
    "device_token",
    "registration_id",
    "registration_token",
    "apns_token",
    "fcm_token",
    "push_token",
)
PROVIDER: Final = "provider"
_DELIMITERS: Final = (",", ";", "\t")
#: Overrides that are numbers; a cell of CSV is text.
_NUMBERS: Final[Mapping[str, Callable[[str], Any]]] = {"priority": int, "expiration": float}


#: Where reading goes on: `{"line": records had, "place": of the last one}`.
Position = Mapping[str, Any]
START: Final[Position] = {"line": 0, "place": None}


class Record(NamedTuple):
    """One device as its source has it."""

    #: Which line of the source it is, or which item; from 1.
    line: int
    #: Text, a pair, an object; or why it cannot be read.
    item: Any
    #: Where a source that can be read again goes on after it, as JSON.
    place: Any


class Unreadable(str):
    """In place of a device: why its line cannot be read."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of a text are to be read."""

    format: str
    delimiter: str = ","
    #: Of CSV: what the cells mean that count, and their places.
    columns: tuple[tuple[str, int], ...] = ()
    #: Whether the first line names the columns.
    has_heading: bool = False

    def item(self, text: str) -> Any:
        """Return what a line holds.

        Args:
            text: The line, without its end; not empty.

        Raises:
            InvalidPush: It cannot be read.
        """
        if self.format == JSON_LINES:
            return parsed_json(text)
        return self._row(text) if self.format == CSV else text.strip()

    def _row(self, text: str) -> Any:
        cells = _cells(text, self.delimiter)
        if len(self.columns) == 1:
            [(_, place)] = self.columns
            return cells[place].strip() if place < len(cells) else ""
        named = {name: cells[place].strip() for name, place in self.columns if place < len(cells)}
        return {name: _value(name, text) for name, text in named.items() if text}


def layout(head: str, format_: str | None, *, is_mixed: bool) -> Layout:
    """Find out how a text is to be read.

    Args:
        head: Its first line that is not empty; an empty text has none, "".
        format_: One of `FORMATS`, or None to see by the line.
        is_mixed: Whether records name their provider.
    """
    format_ = format_ or _format_of(head.strip())
    if format_ != CSV:
        return Layout(format_)
    delimiter = max(_DELIMITERS, key=head.count)
    try:
        heading = _cells(head, delimiter)
    except InvalidPush:
        heading = head.split(delimiter)
    names = [name.strip().lower() for name in heading]
    if not set(names) & set(TOKEN_NAMES):
        bare = ((PROVIDER, 0), ("token", 1)) if is_mixed else (("token", 0),)
        return Layout(CSV, delimiter, bare)
    return Layout(CSV, delimiter, tuple(_columns(names, is_mixed=is_mixed)), has_heading=True)


def parsed_json(text: str) -> Any:
    """Return the JSON value that a line is.

    Raises:
        InvalidPush: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidPush(f"not JSON ({reason}): give one JSON value a line") from None


def item_of(text: str) -> Any:
    """Return what a text holds that may be a device token or JSON: a member of a list in Redis."""
    return parsed_json(text) if text.startswith(("{", "[")) else text


def read_item(read: Callable[[str], Any], text: str) -> Any:
    """Return what `read` makes of a text, or an `Unreadable` with the reason why it cannot."""
    if isinstance(text, Unreadable):
        return text
    try:
        return read(text)
    except InvalidPush as error:
        return Unreadable(error)


def _format_of(head: str) -> str:
    if head.startswith(("{", "[")):
        return JSON_LINES
    is_csv = head.lower().strip('"') in TOKEN_NAMES or any(map(head.count, _DELIMITERS))
    return CSV if is_csv else LINES


def _columns(names: Sequence[str], *, is_mixed: bool) -> list[tuple[str, int]]:
    """Return the columns that count; further ones are the business of whoever wrote the file."""
    wanted = {*TOKEN_NAMES, *OVERRIDES, *([PROVIDER] if is_mixed else [])}
    places = {name: place for place, name in reversed(list(enumerate(names))) if name in wanted}
    first = min((name for name in places if name in TOKEN_NAMES), key=TOKEN_NAMES.index)
    others = [name for name in places if name not in TOKEN_NAMES]
    return [("token", places[first]), *((name, places[name]) for name in others)]


def _cells(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter))
    except csv.Error as error:
        raise InvalidPush(f"not CSV ({error})") from None


def _value(name: str, text: str) -> Any:
    if name == "payload" and text.startswith("{"):
        return parsed_json(text)
    try:
        return _NUMBERS[name](text) if name in _NUMBERS else text
    except ValueError:
        return text  # the check of the device says what is wrong, or takes it, as a date
