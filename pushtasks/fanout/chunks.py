"""Pure: a stream of records cut into chunks, each device checked on the way."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pushtasks.errors import InvalidPush
from pushtasks.fanout.devices import Check, Entry, token_in
from pushtasks.fanout.records import Position, Record

#: Bytes of entries, about, at which a chunk is full, however few they are.
SIZE_LIMIT: Final = 256 * 1024
#: Characters that are kept of a token that is none.
SHOWN: Final = 80


class Fault(NamedTuple):
    """A device that cannot be sent to."""

    line: int
    #: What the source calls it, or the beginning of that.
    token: str
    reason: str


@dataclass(slots=True)
class Chunk:
    """Devices that go in one task, and those among them that cannot."""

    #: Where in the source it ends.
    position: Position
    entries: list[Entry] = field(default_factory=list)
    #: Of each entry its line.
    lines: list[int] = field(default_factory=list)
    invalid: list[Fault] = field(default_factory=list)
    #: Bytes of the entries, about.
    size: int = 0
    #: Why the source has ended before its end.
    error: str | None = None

    @property
    def shown_lines(self) -> int | list[int]:
        """The lines as the task takes them: the first, if the others follow one by one."""
        first, last = self.lines[0], self.lines[-1]
        return first if last - first == len(self.lines) - 1 else self.lines


def cut(
    records: Iterable[Record],
    check: Check,
    limit: int,
    start: Position,
    passing: tuple[type[Exception], ...] = (),
) -> Iterator[Chunk]:
    """Yield chunks; at the end of the source perhaps a smaller one.

    Args:
        records: What is left of a source. If it raises, that is told with the last chunk.
        check: Makes an entry of what a record holds.
        limit: Entries of a chunk at the most; no more than as many are invalid.
        start: Where in the source they begin.
        passing: Exceptions that do not end a source: they are raised, and it can be read on later.
    """
    chunk, line, place = Chunk(start), start["line"], start["place"]
    try:
        for line, item, place in records:
            _add(chunk, line, item, check)
            if len(chunk.entries) >= limit or _is_full(chunk, limit):
                chunk.position = {"line": line, "place": place}
                yield chunk
                chunk = Chunk(chunk.position)
    except passing:
        raise
    except Exception as error:  # noqa: BLE001, a source is anybody's code
        chunk.error = f"line {line + 1}: {_words(error)}"
    if chunk.entries or chunk.invalid or chunk.error:
        chunk.position = {"line": line, "place": place}
        yield chunk


def _add(chunk: Chunk, line: int, item: Any, check: Check) -> None:
    try:
        entry = check(item)
        size = len(entry) if isinstance(entry, str) else len(json.dumps(entry))
    except InvalidPush as error:
        chunk.invalid.append(Fault(line, token_in(item)[:SHOWN], str(error)))
        return
    except Exception as error:  # noqa: BLE001, an item may be anything, and is its own trouble alone
        reason = f"{type(item).__name__} is no device ({_words(error)})"
        chunk.invalid.append(Fault(line, "", reason))
        return
    chunk.entries.append(entry)
    chunk.lines.append(line)
    chunk.size += size


def _is_full(chunk: Chunk, limit: int) -> bool:
    return chunk.size >= SIZE_LIMIT or len(chunk.invalid) >= limit


def _words(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
