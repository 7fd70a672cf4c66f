"""The control API: JSON over plain HTTP on loopback, by which a test says what is to go wrong."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pushtasks.emulator.behaviour import Behaviour
from pushtasks.emulator.checks import ControlError
from pushtasks.emulator.exchange import Answer, Request, json_answer, read_json
from pushtasks.emulator.faults import ServiceFaults
from pushtasks.emulator.feedback import FeedbackService
from pushtasks.emulator.traffic import Connections, Traffic

#: Digits of the number of an entry.
DIGITS_LIMIT: Final = 18


class ControlService:
    """Sets and shows the behaviour that all services share."""

    def __init__(
        self, behaviour: Behaviour, traffic: Mapping[str, Connections], feedback: FeedbackService
    ) -> None:
        self.faults = ServiceFaults()
        self.traffic = Traffic()
        self.streams = 1
        self._behaviour = behaviour
        self._watched = traffic
        self._feedback = feedback

    def faults_at(self, path: str) -> ServiceFaults:  # noqa: ARG002
        """Return what goes wrong, wherever it is."""
        return self.faults

    def session(self, certificate_topic: str | None) -> "ControlService":  # noqa: ARG002
        """Begin a connection, of which nothing is remembered."""
        return self

    def answer(self, request: Request) -> Answer:
        """Obey one request; what cannot be obeyed is answered with `{"error": "<one line>"}`."""
        try:
            return self._route(request)
        except ControlError as error:
            return json_answer(400, {"error": str(error)})

    def _route(self, request: Request) -> Answer:
        url = _split(request.path)
        collection, _, token = url.path.removeprefix("/").partition("/")
        match request.method, collection:
            case "PUT", "tokens" if token:
                self._behaviour.script(unquote(token), _body(request))
            case "DELETE", "tokens" if not token:
                self._behaviour.forget_scripts()
            case "POST" | "DELETE", "faults" if not token:
                self._change_faults(request)
            case "GET", "received" if token in {"", "count"}:
                return json_answer(200, self._received(token, url.query))
            case "DELETE", "received" if not token:
                self._behaviour.received.clear()
            case "POST", "feedback" if not token:
                self._feedback.add(_body(request))
            case "GET", "feedback" if not token:
                return json_answer(200, {"count": len(self._feedback)})
            case "DELETE", "feedback" if not token:
                self._feedback.clear()
            case "GET" | "DELETE", "stats" if not token:
                return json_answer(200, self._stats(resets=request.method == "DELETE"))
            case _:
                problem = f"there is no {request.method} {request.path:.100}"
                return json_answer(404, {"error": problem})
        return json_answer(200, {})

    def _received(self, what: str, query: str) -> Any:
        received = self._behaviour.received
        return {"count": received.count} if what else received.since(_since(query))

    def _stats(self, *, resets: bool) -> dict[str, Any]:
        if not resets:
            return {name: seen.to_dict() for name, seen in self._watched.items()}
        for seen in self._watched.values():
            seen.reset()
        return {}

    def _change_faults(self, request: Request) -> None:
        """Change what goes wrong, and tell the connections that live."""
        if request.method == "POST":
            self._behaviour.faults.apply(_body(request))
        else:
            self._behaviour.faults.clear()
        for seen in self._watched.values():
            for connection in list(seen.connections):
                connection.faults_changed()


def _split(path: str) -> SplitResult:
    try:
        return urlsplit(path)
    except ValueError as error:
        raise ControlError(f"the path cannot be read: {error}") from None


def _body(request: Request) -> Any:
    if request.length > len(request.body):
        raise ControlError(f"the body is longer than {len(request.body)} bytes")
    try:
        return read_json(request.body)
    except ValueError as error:
        raise ControlError(f"the body is not JSON: {error}") from None


def _since(query: str) -> int:
    text = parse_qs(query).get("since", ["0"])[0]
    if not text.isdecimal() or len(text) > DIGITS_LIMIT:
        raise ControlError(f"since must be a whole number from 0, not {text!r:.60}")
    return int(text)
