"""APNs over HTTP/2: one request in, Apple's answer out.

Source: Apple, "Sending notification requests to APNs" and "Handling notification responses from
APNs".
"""

import uuid
from typing import Any, Final

from pushtasks.emulator import reasons
from pushtasks.emulator.apns_channels import Channels
from pushtasks.emulator.apns_checks import ID, check_headers, check_path, check_payload, suffix_of
from pushtasks.emulator.behaviour import Behaviour, Rejection
from pushtasks.emulator.exchange import Answer, Request, json_answer
from pushtasks.emulator.faults import ScriptedAnswer, ServiceFaults
from pushtasks.emulator.provider_tokens import ConnectionTokens, ProviderTokens, SigningKey
from pushtasks.emulator.traffic import Traffic
from pushtasks.wire import apns_http2 as wire

NAME: Final = "apns"


class ApnsService:
    """A pretend Apple: one team, one key, every topic."""

    def __init__(self, behaviour: Behaviour, key: SigningKey) -> None:
        self.behaviour = behaviour
        self.faults = behaviour.faults.services[NAME]
        self.traffic = Traffic()
        self.tokens = ProviderTokens(key)
        self.channels = Channels()

    def faults_at(self, path: str) -> ServiceFaults:  # noqa: ARG002
        """Return what goes wrong, wherever it is."""
        return self.faults

    def session(self, certificate_topic: str | None) -> "ApnsSession":
        """Begin a connection; a client certificate takes the place of provider tokens."""
        return ApnsSession(self, certificate_topic)


class ApnsSession:
    """One connection: how it is authenticated and how many streams it has earned."""

    def __init__(self, service: ApnsService, certificate_topic: str | None) -> None:
        self._service = service
        self._certificate_topic = certificate_topic
        self._tokens = ConnectionTokens()
        self.streams = wire.STREAMS if certificate_topic else wire.INITIAL_STREAMS

    def answer(self, request: Request) -> Answer:
        """Judge one request, note it, and give or take streams accordingly."""
        fault = self._service.faults.answer
        token: str | None
        if fault is not None and fault.take():
            token = request.path.removeprefix(wire.DEVICE_PATH)
            answer = _scripted(request, fault.value)
        elif request.path.startswith("/1/"):
            return self._channels(request)
        elif request.path.startswith(wire.BROADCAST_PATH):
            token = request.headers.get(wire.CHANNEL_ID)
            answer = self._broadcast(request)
        else:
            token = request.path.removeprefix(wire.DEVICE_PATH)
            answer = self._push(request, token)
        self._service.behaviour.received.note(
            NAME, token, request.body, answer, headers=request.headers
        )
        self._throttle(answer)
        return answer

    def _throttle(self, answer: Answer) -> None:
        """Leave one stream after a rejection, all after a success; a dead token is no fault."""
        if answer.status < 300:  # noqa: PLR2004
            self.streams = wire.STREAMS
        elif answer.status != reasons.apns_status("Unregistered") and not self._certificate_topic:
            self.streams = wire.INITIAL_STREAMS

    # A push to a device -------------------------------------------------------------------------

    def _push(self, request: Request, token: str) -> Answer:
        reason = (
            check_headers(request, self._certificate_topic)
            or check_path(request.path)
            or self.check_authentication(request)
            or check_payload(request, self._certificate_topic)
        )
        if reason is not None:
            return rejected(request, reason)
        rejection = self._service.behaviour.rejection(token)
        if rejection is not None:
            return _rejected_as_scripted(request, rejection)
        return Answer(200, (*_id_header(request), (wire.UNIQUE_ID, str(uuid.uuid4()))))

    def check_authentication(self, request: Request) -> str | None:
        """Return the reason why this client may not push to this topic, None if it may."""
        if self._certificate_topic is not None:
            topic = request.headers.get(wire.TOPIC, self._certificate_topic)
            base = topic.removesuffix(suffix_of(topic))
            return None if base == self._certificate_topic else "TopicDisallowed"
        authorization = request.headers.get(wire.AUTHORIZATION)
        reason = self._service.tokens.reason(authorization)
        if reason is not None or authorization is None or self._tokens.knows(authorization):
            return reason
        if not self._tokens.admit(authorization):
            return "TooManyProviderTokenUpdates"
        self._service.traffic.provider_token_seen(authorization.partition(" ")[2])
        return None

    # Broadcasts ---------------------------------------------------------------------------------

    def _broadcast(self, request: Request) -> Answer:
        return self._service.channels.send(request, self.check_authentication(request))

    def _channels(self, request: Request) -> Answer:
        return self._service.channels.manage(request, self.check_authentication(request))


def rejected(request: Request, reason: str) -> Answer:
    """Return APNs' answer to a request that it refuses."""
    status = reasons.apns_status(reason)
    return json_answer(status, {"reason": reason}, _id_header(request), reason)


def _id_header(request: Request) -> tuple[tuple[str, str], ...]:
    given = request.headers.get(wire.ID)
    return ((wire.ID, given if given and ID.fullmatch(given) else str(uuid.uuid4())),)


def _rejected_as_scripted(request: Request, rejection: Rejection) -> Answer:
    word = reasons.apns_word(rejection.reason)
    status = rejection.status or reasons.apns_status(word)
    body: dict[str, Any] = {"reason": word}
    if status == reasons.apns_status("Unregistered"):
        body["timestamp"] = rejection.timestamp
    return json_answer(status, body, (*_id_header(request), *rejection.headers), word)


def _scripted(request: Request, fault: ScriptedAnswer) -> Answer:
    headers = (*_id_header(request), *fault.headers)
    reason = fault.reason or _usual_reason(fault.status)
    if fault.body is not None:
        return Answer(fault.status, headers, fault.body, reason)
    if reason is None:
        return Answer(fault.status, headers)
    word = reasons.apns_word(reason)
    return json_answer(fault.status, {"reason": word}, headers, word)


def _usual_reason(status: int) -> str | None:
    """Return the reason that goes with a status by itself, None for a success."""
    usual = {
        403: "Forbidden",
        410: "Unregistered",
        429: "TooManyRequests",
        500: "InternalServerError",
        503: "ServiceUnavailable",
    }
    if status < 300:  # noqa: PLR2004
        return None
    documented = (reason for reason, known in wire.REASONS.items() if known == status)
    return usual.get(status) or next(documented, f"Status{status}")
