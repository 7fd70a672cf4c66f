"""The feedback service's protocol without any I/O: bytes → dead device tokens, and since when.

The client says nothing. The service writes its records and closes: there is neither a count nor an
end mark, so the end of the stream is the end of the list. What is read is off the list for good.

Source: Apple (archived), "Binary Provider API", "The Feedback Service".
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pushtasks.masking import mask
from pushtasks.wire import apns_binary as wire

_HEADER: Final = struct.Struct(">IH")


class FeedbackProtocolError(Exception):
    """A feedback service sent what is no record, or ended in the middle of one."""


@dataclass(frozen=True, slots=True)
class ExpiredToken:
    """One record: a device on which the app is no longer installed."""

    #: Hexadecimal, lower case.
    device_token: str
    #: When APNs found out; aware, UTC. A token registered again after it is alive.
    dead_since: datetime

    def __repr__(self) -> str:
        """Name the device by the beginning of its token only."""
        return f"<ExpiredToken {mask(self.device_token)} since {self.dead_since:%Y-%m-%d %H:%M}>"


class FeedbackReader:
    """Reads what one connection brings, however it is cut; keeps less than one record."""

    def __init__(self) -> None:
        self._rest = b""
        #: Why nothing more can be read; the records before it stand.
        self.error: FeedbackProtocolError | None = None

    def receive_data(self, data: bytes) -> list[ExpiredToken]:
        """Return the records that are complete now; after an error there are none.

        Args:
            data: What came next, of any length.
        """
        if self.error:
            return []
        buffer, offset = self._rest + data, 0
        records: list[ExpiredToken] = []
        while (end := self._end_of_record(buffer, offset)) is not None:
            records.append(_record(buffer[offset:end]))
            offset = end
        self._rest = b"" if self.error else buffer[offset:]
        return records

    def receive_eof(self) -> None:
        """Take note that the service has closed, which is an error in the middle of a record."""
        if self._rest:
            self.error = FeedbackProtocolError(
                f"the feedback service closed {len(self._rest)} bytes into a record:"
                " its list may have had more"
            )
            self._rest = b""

    def _end_of_record(self, buffer: bytes, offset: int) -> int | None:
        """Return where the record at `offset` ends, None if it is not all there, or none."""
        if len(buffer) < offset + wire.FEEDBACK_HEADER_SIZE:
            return None
        _, length = _HEADER.unpack_from(buffer, offset)
        if not 1 <= length <= wire.DEVICE_TOKEN_LIMIT:
            self.error = FeedbackProtocolError(
                f"the feedback service sent a device token of {length} bytes, and 1 to"
                f" {wire.DEVICE_TOKEN_LIMIT} are possible: is it a feedback service?"
            )
            return None
        end = offset + wire.FEEDBACK_HEADER_SIZE + int(length)
        return end if end <= len(buffer) else None


def _record(record: bytes) -> ExpiredToken:
    seconds, _ = _HEADER.unpack_from(record)
    token = record[wire.FEEDBACK_HEADER_SIZE :]
    return ExpiredToken(token.hex(), datetime.fromtimestamp(seconds, UTC))
