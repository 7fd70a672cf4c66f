"""The binary gateway's protocol without any I/O: notifications → frames, bytes → what they mean.

The gateway confirms nothing. It answers the first notification that it refuses with one error,
which names it, throws away all that follows on the connection, and closes. So whoever sends keeps a
record of what went out, in order: when the error comes, what precedes the named notification is
accepted, what follows it is lost and must be sent again on another connection. Status 10 is no
refusal: it names the last notification that was processed.

Source: Apple (archived), "Binary Provider API" and "Legacy Notification Format"; Technical Note
TN2265.
"""

import struct
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, Generic, NamedTuple, TypeVar

from pushtasks.masking import mask
from pushtasks.net.protocol import Ending, GarbledAnswer
from pushtasks.results import Identifier, Verdict
from pushtasks.wire import apns_binary as wire

Item = TypeVar("Item")

#: Notifications that a connection remembers: those after a refused one can be sent again.
RECORD_LIMIT: Final = 10_000

_ERROR: Final = struct.Struct(">BBI")
#: Identifiers in use: 1 up to the one below the sentinel's. 0 is what a gateway says that does not
#: know which notification it refuses.
_IDENTIFIERS: Final = wire.SENTINEL - 1


class Frame(NamedTuple):
    """What one notification is on the wire, but for its identifier."""

    device_token: bytes
    #: JSON in UTF-8.
    payload: bytes
    #: Seconds since 1970; 0: try once, store nothing.
    expiration: int
    #: 10 or 5; commands 0 and 1 know 10 only.
    priority: int = 10
    #: What the caller calls it, which is not sent.
    label: Identifier | None = None

    def __repr__(self) -> str:
        """Name the device by the beginning of its token only, and show nothing that is for it."""
        return f"<Frame {mask(self.device_token.hex())} {len(self.payload)} bytes>"


def encode(frame: Frame, identifier: int, command: int = wire.FRAMED) -> bytes:
    """Return the bytes of one notification, header included.

    Args:
        frame: A device token of at most 100 bytes, a payload that the command has room for.
        identifier: 1 to 2**32 - 2, what an error response would name. Command 0 has none.
        command: 0, 1 or 2.
    """
    token, payload, expiration, priority, _ = frame
    if command == wire.FRAMED:
        items = b"".join(
            (
                _item(wire.DEVICE_TOKEN_ITEM, token),
                _item(wire.PAYLOAD_ITEM, payload),
                struct.pack(">BHI", wire.IDENTIFIER_ITEM, 4, identifier),
                struct.pack(">BHI", wire.EXPIRATION_ITEM, 4, expiration),
                struct.pack(">BHB", wire.PRIORITY_ITEM, 1, priority),
            )
        )
        return struct.pack(">BI", command, len(items)) + items
    times = struct.pack(">II", identifier, expiration) if command == wire.ENHANCED else b""
    return b"".join((bytes([command]), times, _sized(token), _sized(payload)))


def _item(number: int, data: bytes) -> bytes:
    return struct.pack(">BH", number, len(data)) + data


def _sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def sentinel(command: int = wire.FRAMED) -> bytes | None:
    """Return a notification that must be refused: that it is, proves all before it accepted.

    It has no device token and no payload. Command 0 has no errors, and so no sentinel.
    """
    if command == wire.SIMPLE:
        return None
    return encode(Frame(b"", b"", 0), wire.SENTINEL, command)


class GatewayProtocol(Generic[Item]):
    """One connection to a gateway, from its first byte to its last.

    Identifiers are given in the order of sending. Not thread-safe.
    """

    def __init__(
        self,
        encode: Callable[[Item, int], bytes],
        sentinel: bytes | None,
        limit: int = RECORD_LIMIT,
    ) -> None:
        """Begin a connection.

        Args:
            encode: Makes the bytes of an item with an identifier.
            sentinel: As the function of that name returns it.
            limit: Items that are remembered; the oldest are forgotten first.
        """
        self._encode = encode
        self._sentinel = sentinel
        self.limit = limit
        self._record: deque[Item] = deque()
        #: How many items were sent before the oldest in the record.
        self._forgotten = 0
        self._received = b""
        self.is_confirming = False

    def send(self, item: Item) -> tuple[int, bytes]:
        """Take an item into the record; return its identifier and the bytes to write."""
        identifier = self._identifier(self._forgotten + len(self._record))
        data = self._encode(item, identifier)
        self._record.append(item)
        if len(self._record) > self.limit:
            self._record.popleft()
            self._forgotten += 1
        return identifier, data

    @property
    def can_confirm(self) -> bool:
        """Whether the gateway answers a sentinel, as it answers anything that it refuses."""
        return self._sentinel is not None

    def confirm(self) -> bytes:
        """Return what makes the gateway confirm, after which nothing may be sent."""
        self.is_confirming = self.can_confirm
        return self._sentinel or b""

    def receive(self, data: bytes) -> Ending[Item] | None:
        """Take bytes from the gateway, however they are cut.

        Returns:
            None until the error response is complete, then what it says. Nothing can follow it.

        Raises:
            GarbledAnswer: It is none.
        """
        self._received += data
        if self._received and self._received[0] != wire.ERROR_COMMAND:
            raise GarbledAnswer(f"the gateway sent {self._received[:6].hex()}, no error")
        if len(self._received) < wire.ERROR_SIZE:
            return None
        _, status, identifier = _ERROR.unpack_from(self._received)
        return self._ending(status, identifier)

    @staticmethod
    def acceptance(identifier: int) -> Verdict:
        """Return the verdict on an item that counts as accepted."""
        return Verdict(wire.NO_ERRORS, None, str(identifier))

    def end(self, reason: str) -> Ending[Item]:
        """Return what is known when a connection ends without a complete error: nothing."""
        if self._received[:1] == bytes([wire.ERROR_COMMAND]):
            reason = f"{reason} after a part of an error, {self._received.hex()}"
        return Ending(unknown=tuple(self._record), reason=reason)

    @staticmethod
    def _identifier(ordinal: int) -> int:
        return ordinal % _IDENTIFIERS + 1

    def _ending(self, status: int, identifier: int) -> Ending[Item]:
        name = wire.STATUSES.get(status, wire.STATUSES[wire.UNKNOWN])
        reason = f"the gateway answered {name}"
        if self.is_confirming and _is_confirmation(status, identifier):
            return Ending(accepted=tuple(self._record), reason="the gateway confirmed")
        place = self._place(identifier)
        if place is None:
            reason = f"{reason} and names notification {identifier}, which is none of ours"
            return Ending(unknown=tuple(self._record), reason=reason)
        if place < 0:
            return Ending(lost=tuple(self._record), forgotten=-place - 1, reason=reason)
        before, item = tuple(islice(self._record, place)), self._record[place]
        after = tuple(islice(self._record, place + 1, None))
        if status == wire.SHUTDOWN:
            return Ending(accepted=(*before, item), lost=after, reason=reason)
        verdict = Verdict(status, name, str(identifier))
        return Ending(accepted=before, rejected=(item, verdict), lost=after, reason=reason)

    def _place(self, identifier: int) -> int | None:
        """Return where in the record an identifier is; negative: so many places before it."""
        if not 0 < identifier <= _IDENTIFIERS:
            return None
        place = (identifier - self._identifier(self._forgotten)) % _IDENTIFIERS
        if place < len(self._record):
            return place
        back = place - _IDENTIFIERS
        return back if -back <= self._forgotten else None


def _is_confirmation(status: int, identifier: int) -> bool:
    """Tell whether a sentinel was refused, for whatever reason; some gateways call it 0."""
    is_nameless = (status, identifier) == (wire.MISSING_DEVICE_TOKEN, 0)
    return identifier == wire.SENTINEL or is_nameless
