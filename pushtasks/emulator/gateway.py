"""The binary gateway's policy: one notification in, silence or an error response out.

Source: Apple (archived), "Binary Provider API" and "Legacy Notification Format".
"""

import struct
from typing import Final

from pushtasks.emulator import reasons
from pushtasks.emulator.behaviour import Behaviour
from pushtasks.emulator.exchange import Answer
from pushtasks.emulator.gateway_frames import Frame, FrameError
from pushtasks.emulator.traffic import GatewayTraffic
from pushtasks.wire import apns_binary as wire

NAME: Final = "gateway"
#: What a good notification earns: nothing.
ACCEPTED: Final = Answer(wire.NO_ERRORS)
_ERROR: Final = struct.Struct(">BBI")


class GatewayService:
    """A pretend Apple of 2009 to 2021."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.faults = behaviour.faults.services[NAME]
        self.traffic = GatewayTraffic()

    def answer(self, frame: Frame) -> Answer:
        """Judge one notification and note it.

        Returns:
            An answer whose body is what to send before the end; it is empty, and the end comes at
            once, for a bad notification that knows no error response (command 0). For a good one,
            `ACCEPTED`.
        """
        reason = _check(frame)
        if reason is None:
            rejection = self.behaviour.rejection(frame.token.hex())
            reason = rejection and rejection.reason
        answer = ACCEPTED if reason is None else self._refused(frame, reason)
        self._note(frame, answer)
        return answer

    def answer_error(self, error: FrameError) -> bytes:
        """Return what is sent for bytes that are no frame, before the end."""
        if error.identifier is None:
            return b""
        return self.error(wire.PROTOCOL_ERROR, error.identifier)

    def error(self, status: int, identifier: int) -> bytes:
        """Return an error response."""
        zero = self.faults.identifier_zero
        if zero is not None and zero.take():
            identifier = 0
        return _ERROR.pack(wire.ERROR_COMMAND, status, identifier)

    def _refused(self, frame: Frame, reason: str) -> Answer:
        status = reasons.gateway_status(reason)
        is_told = frame.command != wire.SIMPLE
        body = self.error(status, frame.identifier) if is_told else b""
        return Answer(status, body=body, reason=wire.STATUSES[status])

    def _note(self, frame: Frame, answer: Answer) -> None:
        fields = {
            "command": frame.command,
            "identifier": frame.identifier,
            "expiration": frame.expiration,
            "priority": frame.priority,
        }
        received = self.behaviour.received
        received.note(NAME, frame.token.hex(), frame.payload, answer, frame=fields)


def _check(frame: Frame) -> str | None:
    """Return what speaks against a notification by itself, None if nothing does."""
    if not frame.token:
        return "MissingDeviceToken"
    if len(frame.token) != wire.DEVICE_TOKEN_SIZE:
        return "InvalidTokenSize"
    if not frame.payload:
        return "MissingPayload"
    if len(frame.payload) > wire.PAYLOAD_LIMITS[frame.command]:
        return "InvalidPayloadSize"
    if frame.priority is not None and frame.priority not in wire.PRIORITIES:
        return "ProtocolError"
    return None
