"""Where the devices of a fan-out come from: files, streams, anything iterable (`redis_key`: Redis).

Each is read once from beginning to end, a line or a page at a time, and never held as a whole. A
file and a key can be read again from any place in them; of anything else the caller gives the same
once more, and what was had already is passed over.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from pushtasks.errors import InvalidPush
from pushtasks.fanout.records import (
    BY_SUFFIX,
    FORMATS,
    Layout,
    Position,
    Record,
    Unreadable,
    layout,
    read_item,
)

#: Bytes of a line, well above a payload of 4 KiB spelled in JSON's escapes.
LINE_LIMIT: Final = 64 * 1024
#: Dropped around a line: no tabs, since the first cell of a row may be empty.
_AROUND: Final = " \r\n"


class Source(Protocol):
    """A stream of devices."""

    def describe(self) -> dict[str, Any]:
        """Return what it takes to read it again, as JSON."""

    def records(self, after: Position, *, is_mixed: bool) -> Iterator[Record]:
        """Yield the devices after a position."""


class Items:
    """Anything iterable."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def describe(self) -> dict[str, Any]:
        """Return that it cannot be read again."""
        return {"kind": "items"}

    def records(self, after: Position, *, is_mixed: bool) -> Iterator[Record]:  # noqa: ARG002
        """Yield the devices after a position; those before it are passed over."""
        for line, item in enumerate(self._items, 1):
            if line > after["line"]:
                yield Record(line, item, None)


class Stream:
    """An open file, or standard input."""

    def __init__(self, stream: Any, format_: str | None = None) -> None:
        """Take it as it stands.

        Args:
            stream: Of text or of bytes, which are UTF-8.
            format_: One of `FORMATS`; None to see by the first line.
        """
        self._stream = stream
        self._format = _known(format_)

    def describe(self) -> dict[str, Any]:
        """Return that it cannot be read again."""
        return {"kind": "stream", "format": self._format}

    def records(self, after: Position, *, is_mixed: bool) -> Iterator[Record]:
        """Yield the devices after a position; those before it are passed over."""
        found: Layout | None = None
        for line, place, text in _lines(self._stream, 0, 0):
            if found is None:
                found = layout(text, self._format, is_mixed=is_mixed)
                if found.has_heading:
                    continue
            if line > after["line"]:
                yield _record(found, line, place, text)


class File:
    """A file, by its path."""

    def __init__(self, path: str | os.PathLike[str], format_: str | None = None) -> None:
        """Look at the file.

        Args:
            path: CSV with or without a heading, JSON lines, or a device token a line; UTF-8.
            format_: One of `FORMATS`; None to see by its name, else by its first line.

        Raises:
            InvalidPush: There is no such file, or no such format.
        """
        self._path = Path(path).absolute()
        self._format = _known(format_) or BY_SUFFIX.get(self._path.suffix.lower())
        try:
            stat = self._path.stat()
            self._path.open("rb").close()
        except OSError as error:
            raise InvalidPush(
                f"{str(path)!r} cannot be read ({error.strerror}): give the path of a file of"
                " device tokens"
            ) from None
        self._identity = {"size": stat.st_size, "mtime": stat.st_mtime_ns, "inode": stat.st_ino}

    def describe(self) -> dict[str, Any]:
        """Return path and format, and by what to see that it is the same file."""
        return {"kind": "file", "path": str(self._path), "format": self._format, **self._identity}

    def is_as_described(self, described: Mapping[str, Any]) -> bool:
        """Return whether the file is still what it was."""
        return all(described.get(name) == value for name, value in self._identity.items())

    def records(self, after: Position, *, is_mixed: bool) -> Iterator[Record]:
        """Yield the devices after a position."""
        with self._path.open("rb") as stream:
            first = next(_lines(stream, 0, 0), None)
            if first is None:
                return
            line, place, text = first
            found = layout(text, self._format, is_mixed=is_mixed)
            if after["place"] is not None:
                line, place = after["line"], after["place"]
            elif not found.has_heading:
                line, place = 0, 0
            stream.seek(place)
            for number, end, text in _lines(stream, line, place):
                if number > after["line"]:
                    yield _record(found, number, end, text)


# Lines ------------------------------------------------------------------------------------------


def _lines(stream: Any, line: int, place: int) -> Iterator[tuple[int, int, str | Unreadable]]:
    """Yield lines that are not empty: number, place of their end, text without its line's end."""
    while raw := stream.readline(LINE_LIMIT):
        line += 1
        place += len(raw)
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
        if len(raw) == LINE_LIMIT and not text.endswith("\n"):
            place += _rest_of_line(stream)
            text = Unreadable(f"line of over {LINE_LIMIT} bytes: give one device a line")
        elif line == 1:
            text = text.removeprefix("\ufeff")
        text = text if isinstance(text, Unreadable) else text.strip(_AROUND)
        if text.strip():
            yield line, place, text


def _rest_of_line(stream: Any) -> int:
    size = 0
    while raw := stream.readline(LINE_LIMIT):
        size += len(raw)
        if raw[-1:] in {b"\n", "\n"}:
            break
    return size


def _record(found: Layout, line: int, place: int, text: str) -> Record:
    return Record(line, read_item(found.item, text), place)


def _known(format_: str | None) -> str | None:
    if format_ is not None and format_ not in FORMATS:
        raise InvalidPush(f"format {format_!r} is unknown: there are {', '.join(FORMATS)}")
    return format_
