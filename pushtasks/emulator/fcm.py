"""FCM HTTP v1 and its token endpoint: one request in, Google's answer out.

Source: Google, REST reference of projects.messages.send; "FCM Error Codes".
"""

import itertools
import re
import secrets
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

from pushtasks.emulator import fcm_rules, oauth, reasons
from pushtasks.emulator.behaviour import Behaviour, Rejection
from pushtasks.emulator.exchange import Answer, Request, html_answer, json_answer
from pushtasks.emulator.faults import ScriptedAnswer
from pushtasks.emulator.fcm_message import MalformedMessage, Violation, parse
from pushtasks.emulator.traffic import Traffic
from pushtasks.wire import fcm as wire

NAME: Final = "fcm"
_PATH: Final = re.compile(re.escape(wire.SEND_PATH).replace(r"\{project\}", "([^/]+)"))
#: What Google says beside the codes.
_MESSAGES: Final = MappingProxyType(
    {
        "INVALID_ARGUMENT": "The registration token is not a valid FCM registration token",
        "UNREGISTERED": "Requested entity was not found.",
        "SENDER_ID_MISMATCH": "SenderId mismatch",
        "QUOTA_EXCEEDED": "Resource has been exhausted (e.g. check quota).",
        "UNAVAILABLE": "The service is currently unavailable.",
        "INTERNAL": "Internal error encountered.",
    }
)
#: The code that goes with a status by itself.
_USUAL_CODES: Final = MappingProxyType(
    {
        400: "INVALID_ARGUMENT",
        404: "UNREGISTERED",
        429: "QUOTA_EXCEEDED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
    }
)


class FcmService:
    """A pretend Google: one project and its service account."""

    def __init__(self, behaviour: Behaviour, account: oauth.ServiceAccount) -> None:
        self.behaviour = behaviour
        self.faults = behaviour.faults.services[NAME]
        self.traffic = Traffic()
        self.streams = wire.STREAMS
        self._project = account.project
        self._tokens = oauth.AccessTokens(account)
        self._message_ids = itertools.count(1)
        self._message_prefix = secrets.token_hex(6)

    def answer(self, request: Request) -> Answer:
        """Judge one request and, if it is one to send, note it."""
        if request.path == oauth.PATH:
            return self._tokens.issue(request)
        fault = self.faults.answer
        message = _message(request)
        if fault is not None and fault.take():
            answer = _scripted(fault.value)
        else:
            answer = self._refusal(request) or self._send(message)
        self.behaviour.received.note(
            NAME, _target(message), request.body, answer, headers=request.headers
        )
        return answer

    def _refusal(self, request: Request) -> Answer | None:
        """Return what is said to a client that may not send at all."""
        if "host" not in request.headers:
            return html_answer(400)
        path = _PATH.fullmatch(unquote(request.path))
        if path is None or request.method != "POST":
            return html_answer(404)
        problem = self._tokens.problem(request.headers.get("authorization"))
        if problem is not None:
            return _unauthenticated(problem)
        return None if path[1] == self._project else _permission_denied()

    def _send(self, parsed: dict[str, Any] | MalformedMessage) -> Answer:
        if isinstance(parsed, MalformedMessage):
            return _bad_request(parsed.violations)
        message = parsed["message"]
        violations = list(fcm_rules.violations(message))
        if violations:
            return _bad_request(violations, code="INVALID_ARGUMENT")
        if fcm_rules.is_too_big(message):
            return _error(400, "INVALID_ARGUMENT", "Message is too big", ())
        rejection = self.behaviour.rejection(_target(parsed) or "")
        if rejection is not None:
            return _rejected(rejection)
        return json_answer(200, {"name": self._name(validates=parsed.get("validate_only", False))})

    def _name(self, *, validates: bool) -> str:
        number = f"0:{next(self._message_ids)}%{self._message_prefix}"
        message_id = wire.VALIDATED_MESSAGE_ID if validates else number
        return f"projects/{self._project}/messages/{message_id}"


def _message(request: Request) -> dict[str, Any] | MalformedMessage:
    """Return what a request says, or what is wrong with its form."""
    if request.length > len(request.body):
        return MalformedMessage([Violation("", "Request payload size exceeds the limit")])
    try:
        return parse(request.body)
    except MalformedMessage as malformed:
        return malformed


def _target(parsed: dict[str, Any] | MalformedMessage) -> str | None:
    """Return what a message is addressed to: registration id, topic, condition or installation."""
    if isinstance(parsed, MalformedMessage):
        return None
    targets: Iterable[str] = (
        target for name, target in parsed["message"].items() if name in wire.TARGETS
    )
    return next(iter(targets), None)


# Answers ------------------------------------------------------------------------------------------


def _error(
    status: int,
    google_status: str,
    message: str,
    details: Iterable[dict[str, Any]],
    *,
    headers: tuple[tuple[str, str], ...] = (),
    reason: str | None = None,
) -> Answer:
    error: dict[str, Any] = {"code": status, "message": message, "status": google_status}
    listed = list(details)
    if listed:
        error["details"] = listed
    return json_answer(status, {"error": error}, headers, reason or google_status)


def _fcm_error(
    code: str, status: int | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    usual_status, google_status = wire.ERROR_CODES.get(
        code, (reasons.UNKNOWN_STATUS, wire.ERROR_CODES["INVALID_ARGUMENT"][1])
    )
    details = ({"@type": wire.ERROR_TYPE, "errorCode": code},)
    message = _MESSAGES.get(code, code)
    return _error(
        status or usual_status, google_status, message, details, headers=headers, reason=code
    )


def _bad_request(violations: list[Violation], code: str | None = None) -> Answer:
    listed = [
        {"field": violation.field, "description": violation.description} for violation in violations
    ]
    details: list[dict[str, Any]] = [{"@type": wire.BAD_REQUEST_TYPE, "fieldViolations": listed}]
    if code is not None:
        details.insert(0, {"@type": wire.ERROR_TYPE, "errorCode": code})
    return _error(400, "INVALID_ARGUMENT", violations[0].description, details)


def _unauthenticated(problem: str) -> Answer:
    message = "Request is missing an OAuth 2 access token, or it has expired or is not known."
    info = {"@type": wire.ERROR_INFO_TYPE, "reason": problem, "domain": "googleapis.com"}
    headers = (("www-authenticate", "Bearer"),)
    return _error(401, "UNAUTHENTICATED", message, (info,), headers=headers)


def _permission_denied() -> Answer:
    message = "Permission 'cloudmessaging.messages.create' denied on this project."
    info = {
        "@type": wire.ERROR_INFO_TYPE,
        "reason": "IAM_PERMISSION_DENIED",
        "domain": "iam.googleapis.com",
    }
    return _error(403, "PERMISSION_DENIED", message, (info,))


def _rejected(rejection: Rejection) -> Answer:
    return _fcm_error(reasons.fcm_word(rejection.reason), rejection.status, rejection.headers)


def _scripted(fault: ScriptedAnswer) -> Answer:
    code = reasons.fcm_word(fault.reason) if fault.reason else _USUAL_CODES.get(fault.status)
    if fault.body is not None or fault.status < 300:  # noqa: PLR2004
        return Answer(fault.status, fault.headers, fault.body or b"", code)
    if code is not None:
        return _fcm_error(code, fault.status, fault.headers)
    answers = {401: _unauthenticated("ACCESS_TOKEN_EXPIRED"), 403: _permission_denied()}
    answer = answers.get(fault.status) or html_answer(fault.status)
    return answer._replace(headers=(*answer.headers, *fault.headers))
