"""What GoCM answered, under the same addresses: `/gcm/send` and three reports.

Source: Flyclops/GoCM, README.md and handlers.go. It answered `ok` whatever came, before it looked;
here `ok` says that the push is in the broker, and anything else is refused with a sentence.
"""

import json
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, request
from kombu.exceptions import OperationalError

from pushtasks.adapters.http.bodies import parsed, read_form
from pushtasks.adapters.http.ledger import Ending, Pending
from pushtasks.adapters.http.problems import Problem
from pushtasks.adapters.http.publishing import publish
from pushtasks.adapters.http.state import Service, current_service
from pushtasks.errors import InvalidPush, PushError
from pushtasks.fcm.message import check_size, target
from pushtasks.fcm.message import message as checked

logger = logging.getLogger(__name__)

#: Longer lists go to the queue for those, so that single pushes do not stand behind them.
LIST: Final = 1000
#: Stands for any device.
_SOMEBODY: Final = "token"
#: Seconds that a report may look for results that are new.
PATIENCE: Final = 2.0


def make_blueprint() -> Blueprint:
    """Make the views, to be registered at `/gcm`; with or without a slash at their end."""
    blueprint = Blueprint("gcm", __name__)
    for path, view, method in (
        ("/send", send, "POST"),
        ("/report", report, "GET"),
        ("/report/canonical", canonical, "GET"),
        ("/report/notregistered", notregistered, "GET"),
    ):
        blueprint.add_url_rule(path, view_func=view, methods=[method], strict_slashes=False)
        blueprint.add_url_rule(f"{path}/", view_func=view, methods=[method])
    return blueprint


def send() -> Response:
    """Send a payload to some devices: form fields `tokens`, repeated, and `payload`, JSON."""
    service = current_service()
    form = read_form(request, service.options.body_limit)
    tokens = form.getlist("tokens") or form.getlist("token")
    if not tokens:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "tokens: missing; send the form field once for each registration id (as"
            " application/x-www-form-urlencoded)",
        )
    _publish(service, tokens, _payload(form.get("payload", "")))
    return Response("ok\n", content_type="text/html")


def report() -> Response:
    """Return how many pushes were attempted, failed, and so on, and how many requests pend."""
    return _answer(_looked_up(current_service()).ledger.report())


def canonical() -> Response:
    """Return replacements of registration ids, and forget them."""
    _require_reader()
    found = _looked_up(current_service()).ledger.take_canonicals()
    return _answer({"canonical_replacements": found or None})


def notregistered() -> Response:
    """Return dead registration ids, and forget them."""
    _require_reader()
    return _answer({"tokens": _looked_up(current_service()).ledger.take_notregistered() or None})


def _payload(text: str) -> Mapping[str, Any]:
    """Return a message whose data a form field has, checked once for all devices."""
    if not text:
        raise Problem(HTTPStatus.BAD_REQUEST, "payload: missing; send a JSON object as form field")
    data = parsed(text, "payload")
    if not isinstance(data, dict):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"payload: a JSON {type(data).__name__}; it must be an object, the data that the"
            " app is given",
        )
    message = {"data": data}
    check_size(checked(message, now=datetime.now(UTC)), target(_SOMEBODY))
    return message


def _publish(service: Service, tokens: list[str], payload: Mapping[str, Any]) -> None:
    """Count a request and hand its task to the broker; both or none, as far as that can be."""
    task_id = str(uuid.uuid4())
    name = "pushtasks.send_gcm" if len(tokens) <= LIST else "pushtasks.send_gcm_many"
    arguments = {"registration_ids": tokens, "payload": payload, "app": service.options.gcm_app}
    pending = _note(service, task_id, len(tokens))
    try:
        publish(service.celery_app, name, arguments, task_id)
    except (InvalidPush, OperationalError):
        if pending is not None:
            _withdraw(service, pending, len(tokens))
        raise
    if pending is not None and not service.keeps_results:
        service.ledger.settle(pending, Ending())  # nobody will ever know


def _note(service: Service, task_id: str, tokens: int) -> Pending | None:
    try:
        return service.ledger.note(task_id, tokens)
    except PushError as error:  # to be sent is more than to be counted
        logger.warning("/gcm/send: %d tokens are not counted: %s", tokens, error)
        return None


def _withdraw(service: Service, pending: Pending, tokens: int) -> None:
    try:
        service.ledger.withdraw(pending, tokens)
    except PushError as error:
        logger.warning("/gcm/report: %d tokens too many are counted: %s", tokens, error)


def _require_reader() -> None:
    """Refuse HEAD, which would empty a list and show it to nobody.

    Raises:
        Problem: 405.
    """
    if request.method == "HEAD":
        raise Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "to read this list empties it: ask by GET",
            headers={"Allow": "GET"},
        )


def _looked_up(service: Service) -> Service:
    try:
        service.collector.sweep(PATIENCE)
    except PushError:  # then there is no report, either
        raise
    except Exception as error:  # noqa: BLE001, of whatever result backend
        logger.warning("/gcm/report lags behind: %s: %s", type(error).__name__, error)
    return service


def _answer(document: Mapping[str, Any]) -> Response:
    return Response(json.dumps(document, separators=(",", ":")), content_type="application/json")
