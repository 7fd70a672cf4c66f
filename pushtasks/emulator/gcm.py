"""GCM and FCM's legacy HTTP: one request in, Google's answer out.

Source: Google, Firebase Cloud Messaging HTTP protocol (legacy) reference.
"""

import itertools
import json
import secrets
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pushtasks.emulator import reasons
from pushtasks.emulator.behaviour import Behaviour
from pushtasks.emulator.exchange import Answer, Request, html_answer, json_answer
from pushtasks.emulator.faults import ScriptedAnswer
from pushtasks.emulator.gcm_message import MalformedMessage, Message, parse
from pushtasks.emulator.traffic import Requests
from pushtasks.wire import gcm as wire

NAME: Final = "gcm"
#: The message id of what is not delivered.
DRY_RUN_ID: Final = "fake_message_id"
Headers = tuple[tuple[str, str], ...]


class Result(NamedTuple):
    """What becomes of one recipient."""

    #: As it stands among the results.
    body: dict[str, Any]
    #: The Retry-After that goes with it, if any.
    headers: Headers = ()

    @property
    def error(self) -> str | None:
        """Google's word for what is wrong, None if nothing is."""
        return self.body.get("error")


class GcmService:
    """A pretend Google of 2012 to 2024: one API key."""

    def __init__(self, behaviour: Behaviour, api_key: str) -> None:
        self.behaviour = behaviour
        self.faults = behaviour.faults.services[NAME]
        self.traffic = Requests()
        self._authorization = wire.AUTHORIZATION.format(api_key=api_key)
        self._requests = itertools.count(1)
        self._message_ids = itertools.count(1)
        self._message_suffix = secrets.token_hex(6)

    def answer(self, request: Request) -> Answer:
        """Judge one request and note it, once for each recipient."""
        self.traffic.request_ended()
        fault = self.faults.answer
        message = _message(request)
        results: Sequence[Result] = ()
        if fault is not None and fault.take():
            answer = _scripted(fault.value)
        elif (refusal := self._refusal(request, message)) is not None:
            answer = refusal
        else:
            assert isinstance(message, Message)  # noqa: S101 - others are refused
            answer, results = self._send(message)
        self._note(request, message, answer, results)
        return answer

    def _refusal(self, request: Request, message: Message | MalformedMessage) -> Answer | None:
        """Return what is said to a request that is not to be sent at all."""
        if request.method != "POST":
            return _page(405)
        if request.headers.get("authorization") != self._authorization:
            return _page(401)
        if isinstance(message, MalformedMessage):
            return _text(400, f"{message}\n", wire.STATUS_REASONS[400])
        return None

    def _send(self, message: Message) -> tuple[Answer, Sequence[Result]]:
        problem = message.problem()
        members = None if problem else self._members(message)
        if members is not None:
            return self._send_to_group(members), ()
        results = [self._result(name or "", message, problem) for name in message.names]
        if message.topic is not None:
            return _topic_answer(results[0]), results
        if message.is_text:
            return _text_answer(results[0]), results
        return _multicast_answer(results), results

    # Recipients ---------------------------------------------------------------------------------

    def _result(self, name: str, message: Message, problem: str | None) -> Result:
        """Return what becomes of a message to a registration id, topic or condition."""
        if not name:
            return Result({"error": "MissingRegistration"})
        if problem is not None:
            return Result({"error": problem})
        script = self.behaviour.scripted(name)
        if script is not None and script.rejection is not None:
            error = reasons.gcm_word(script.rejection.reason)
            return Result({"error": error}, script.rejection.headers)
        number = next(self._message_ids)
        if message.topic is not None:
            return Result({"message_id": number})
        message_id = f"0:{number}%{self._message_suffix}"
        body = {"message_id": DRY_RUN_ID if message.is_dry_run else message_id}
        if script is not None and script.canonical_id is not None:
            body["registration_id"] = script.canonical_id
        return Result(body)

    def _members(self, message: Message) -> Sequence[str] | None:
        """Return the members of the device group that a message is to, None if it is to none."""
        key = message.notification_key
        if key is not None:
            return self.behaviour.group(key) or (key,)
        return self.behaviour.group(message.registration_ids[0]) if message.is_single else None

    def _send_to_group(self, members: Sequence[str]) -> Answer:
        rejections = {member: self.behaviour.rejection(member) for member in members}
        failed = [member for member in members if rejections[member] is not None]
        body: dict[str, Any] = {"success": len(members) - len(failed), "failure": len(failed)}
        if failed:
            body["failed_registration_ids"] = failed
        headers = [each.headers for each in rejections.values() if each and each.headers]
        return json_answer(200, body, headers[0] if headers else ())

    # The record ---------------------------------------------------------------------------------

    def _note(
        self,
        request: Request,
        message: Message | MalformedMessage,
        answer: Answer,
        results: Sequence[Result],
    ) -> None:
        names: Sequence[str | None] = (None,)
        payload = request.body
        if isinstance(message, Message):
            names = message.names
            payload = json.dumps(message.fields).encode()
        number = next(self._requests)
        for name, result in itertools.zip_longest(names, results):
            own = answer if result is None else Answer(answer.status, reason=result.error)
            self.behaviour.received.note(
                NAME, name or None, payload, own, headers=request.headers, request=number
            )


def _message(request: Request) -> Message | MalformedMessage:
    try:
        return parse(request)
    except MalformedMessage as malformed:
        return malformed


# Answers ------------------------------------------------------------------------------------------


def _multicast_answer(results: Sequence[Result]) -> Answer:
    failures = sum(result.error is not None for result in results)
    body = {
        "multicast_id": secrets.randbelow(2**63 - 1) + 1,
        "success": len(results) - failures,
        "failure": failures,
        "canonical_ids": sum("registration_id" in result.body for result in results),
        "results": [result.body for result in results],
    }
    headers = next((result.headers for result in results if result.headers), ())
    return json_answer(200, body, headers)


def _topic_answer(result: Result) -> Answer:
    return json_answer(200, result.body, result.headers, result.error)


def _text_answer(result: Result) -> Answer:
    if result.error == "Unavailable":
        return _page(500, result.headers)._replace(reason=result.error)
    if result.error is not None:
        return _text(200, f"Error={result.error}\n", result.error, result.headers)
    lines = [f"id={result.body['message_id']}\n"]
    if "registration_id" in result.body:
        lines.append(f"registration_id={result.body['registration_id']}\n")
    return _text(200, "".join(lines))


def _text(status: int, text: str, reason: str | None = None, headers: Headers = ()) -> Answer:
    kind = ("content-type", "text/plain; charset=UTF-8")
    return Answer(status, (*headers, kind), text.encode(), reason)


def _page(status: int, headers: Headers = ()) -> Answer:
    reason = wire.STATUS_REASONS.get(status, wire.UNNAMED_REASON.format(status=status))
    return html_answer(status, headers, reason)


def _scripted(fault: ScriptedAnswer) -> Answer:
    if fault.body is not None or fault.status < 300:  # noqa: PLR2004
        return Answer(fault.status, fault.headers, fault.body or b"", fault.reason)
    return _page(fault.status, fault.headers)
