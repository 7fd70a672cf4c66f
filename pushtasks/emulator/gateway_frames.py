"""What clients send to the binary gateway: bytes in, notifications out, however they are cut.

Source: Apple (archived), "Binary Provider API" and "Legacy Notification Format".
"""

import struct
from dataclasses import dataclass
from typing import Final

from pushtasks.wire import apns_binary as wire

#: Bytes of items that a frame may announce: two of the longest and all the rest fit.
FRAME_LIMIT: Final = 2**18
_FRAME_LENGTH: Final = struct.Struct(">I")
_ITEM: Final = struct.Struct(">BH")
_ENHANCED: Final = struct.Struct(">II")
_LENGTH: Final = struct.Struct(">H")
#: Items that hold one number, by id: the bytes of it.
_NUMBER_SIZES: Final = {
    wire.IDENTIFIER_ITEM: 4,
    wire.EXPIRATION_ITEM: 4,
    wire.PRIORITY_ITEM: 1,
}
_ITEMS: Final = frozenset({wire.DEVICE_TOKEN_ITEM, wire.PAYLOAD_ITEM, *_NUMBER_SIZES})


class FrameError(ValueError):
    """What came is no frame, and nothing that follows can be understood.

    Attributes:
        identifier: What the error response is to name, 0 if the frame named none; None if there
            is to be no response, only an end.
    """

    def __init__(self, problem: str, identifier: int | None) -> None:
        super().__init__(problem)
        self.identifier = identifier


@dataclass(frozen=True, slots=True)
class Frame:
    """One notification as it came; whether it makes sense is for others to say."""

    command: int
    #: Empty as a missing one is.
    token: bytes
    payload: bytes
    #: 0: it names none.
    identifier: int = 0
    #: Seconds since 1970; None: it does not say.
    expiration: int | None = None
    priority: int | None = None


class FrameReader:
    """Cuts what a client sends into notifications. Memory: one frame and one read."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._error: FrameError | None = None

    def receive_data(self, data: bytes) -> None:
        """Take in what has come; after an error, nothing is kept."""
        if self._error is None:
            self._buffer += data

    def next_frame(self) -> Frame | None:
        """Return the next notification, None until more has come.

        Raises:
            FrameError: Now and ever after: it cannot be read.
        """
        if self._error is not None:
            raise self._error
        if not self._buffer:
            return None
        try:
            return self._framed() if self._buffer[0] == wire.FRAMED else self._plain()
        except FrameError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _framed(self) -> Frame | None:
        if len(self._buffer) < 1 + _FRAME_LENGTH.size:
            return None
        (length,) = _FRAME_LENGTH.unpack_from(self._buffer, 1)
        if length > FRAME_LIMIT:
            raise FrameError(f"a frame of {length} bytes is over {FRAME_LIMIT}", 0)
        end = 1 + _FRAME_LENGTH.size + length
        if len(self._buffer) < end:
            return None
        return _from_items(self._take(end)[1 + _FRAME_LENGTH.size :])

    def _plain(self) -> Frame | None:
        """Read a command 0 or 1, which have their fields in one order."""
        command = self._buffer[0]
        if command not in wire.COMMANDS:
            raise FrameError(f"there is no command {command}", None)
        start = 1 + (_ENHANCED.size if command == wire.ENHANCED else 0)
        token_end = self._field_end(start)
        payload_end = None if token_end is None else self._field_end(token_end)
        if token_end is None or payload_end is None:
            return None
        data = self._take(payload_end)
        token = data[start + _LENGTH.size : token_end]
        payload = data[token_end + _LENGTH.size :]
        if command == wire.SIMPLE:
            return Frame(command, token, payload)
        return Frame(command, token, payload, *_ENHANCED.unpack_from(data, 1))

    def _field_end(self, start: int) -> int | None:
        """Return where a field that begins with its length ends, None if it is not there yet."""
        if len(self._buffer) < start + _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, start)
        end: int = start + _LENGTH.size + length
        return end if len(self._buffer) >= end else None

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _from_items(data: bytes) -> Frame:
    """Return the notification that these items make.

    Raises:
        FrameError: An item is unknown, comes twice, has the wrong size or does not end; it names
            the identifier if that could be read.
    """
    items: dict[int, bytes] = {}
    problem = _read_items(data, items)
    identifier = int.from_bytes(items.get(wire.IDENTIFIER_ITEM, b""))
    if problem is not None:
        raise FrameError(problem, identifier)
    return Frame(
        wire.FRAMED,
        items.get(wire.DEVICE_TOKEN_ITEM, b""),
        items.get(wire.PAYLOAD_ITEM, b""),
        identifier,
        _number(items.get(wire.EXPIRATION_ITEM)),
        _number(items.get(wire.PRIORITY_ITEM)),
    )


def _read_items(data: bytes, items: dict[int, bytes]) -> str | None:
    """Gather items by id; return what is wrong with the first that is wrong, None if none is."""
    problem = None
    start = 0
    while start < len(data):
        if len(data) < start + _ITEM.size:
            return problem or "an item is cut short"
        number, length = _ITEM.unpack_from(data, start)
        start += _ITEM.size + length
        if len(data) < start:
            return problem or f"item {number} reaches beyond its frame"
        wrong = _check_item(number, length, items)
        problem = problem or wrong
        if wrong is None:
            items[number] = data[start - length : start]
    return problem


def _check_item(number: int, length: int, items: dict[int, bytes]) -> str | None:
    if number not in _ITEMS:
        return f"there is no item {number}"
    if number in items:
        return f"item {number} comes twice"
    size = _NUMBER_SIZES.get(number, length)
    return None if length == size else f"item {number} must have {size} bytes, not {length}"


def _number(data: bytes | None) -> int | None:
    return None if data is None else int.from_bytes(data)
