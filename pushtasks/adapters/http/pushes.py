"""`/v1/apns`, `/v1/gcm`: pushes as JSON, one or many; `/v1/results`: what became of them."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from celery import Celery
from celery.exceptions import CeleryError, WorkerLostError
from flask import Response, jsonify, request, url_for
from kombu.exceptions import OperationalError

from pushtasks.adapters.http.bodies import read_json
from pushtasks.adapters.http.problems import Problem, unavailable
from pushtasks.adapters.http.publishing import publish
from pushtasks.adapters.http.state import current_service
from pushtasks.errors import InvalidPush, PushError
from pushtasks.results import APNS, GCM

logger = logging.getLogger(__name__)

TASK_ID: Final = re.compile("[A-Za-z0-9._-]{1,128}")
#: Entries of one request.
ENTRIES: Final = 1000
#: Errors that a refusal repeats.
_SHOWN: Final = 3
#: Beside a version, results of pushes and of polls have one of these.
_OURS: Final = frozenset({"provider", "apps"})
#: Exceptions whose words are shown.
_SHOWN_ERRORS: Final = (PushError, CeleryError, WorkerLostError)


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that was not handed to the broker."""

    index: int
    #: 400: never as it is; 503: perhaps a little later.
    status: HTTPStatus
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"index": self.index, "status": self.status.value, "detail": self.detail}


def send_apns() -> Response:
    """Send notifications by Apple."""
    return _send(APNS)


def send_gcm() -> Response:
    """Send messages by Google."""
    return _send(GCM)


def result(task_id: str) -> Response:
    """Return what became of a push."""
    if not TASK_ID.fullmatch(task_id):
        raise Problem(HTTPStatus.NOT_FOUND, f"{task_id[:40]!r} is no id of a task")
    service = current_service()
    if not service.keeps_results:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "results are not kept where they can be read: set result_backend to a Redis or a"
            " database",
        )
    meta = _meta_of(service.celery_app, task_id)
    return jsonify(shown_result(task_id, meta["status"], meta.get("result")))


def shown_result(task_id: str, state: str, value: Any) -> dict[str, Any]:
    """Return a task's state and result as JSON; only results of pushes are shown.

    Of an exception that is neither ours nor Celery's its kind alone: it may be of a task of the
    host's, which keeps its results in the same place.
    """
    shown: dict[str, Any] = {"id": task_id, "state": state, "result": None, "error": None}
    if isinstance(value, BaseException):
        message = str(value) if isinstance(value, _SHOWN_ERRORS) else ""
        shown["error"] = {"type": type(value).__name__, "message": message}
    elif isinstance(value, Mapping) and "version" in value and not _OURS.isdisjoint(value):
        shown["result"] = dict(value)
    return shown


def call_of(provider: str, entry: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the task that an entry asks for, and its arguments.

    Raises:
        InvalidPush: It asks for none.
    """
    if not isinstance(entry, Mapping):
        raise InvalidPush(f"{type(entry).__name__} is no push; give an object, its arguments")
    for name in entry:
        if name == "self" or name.startswith("_"):  # a task has these, for itself
            raise InvalidPush(f"{name!r} is no argument of a push")
    is_list = provider == APNS and "tokens" in entry
    return f"pushtasks.send_{provider}{'_many' if is_list else ''}", entry


def _meta_of(celery_app: Celery, task_id: str) -> Mapping[str, Any]:
    """Return what the result backend knows of a task.

    Raises:
        Problem: 503: it does not answer.
    """
    backend: Any = celery_app.backend
    try:
        meta: Mapping[str, Any] = backend.get_task_meta(task_id, cache=False)
    except Exception as error:  # noqa: BLE001, of whatever result backend
        logger.warning("result backend: %s: %s", type(error).__name__, error)
        raise unavailable("the result backend does not answer at the moment; try again") from None
    return meta


def _send(provider: str) -> Response:
    service = current_service()
    body = read_json(request, service.options.body_limit)
    entries = body if isinstance(body, list) else [body]
    if not 0 < len(entries) <= ENTRIES:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"{len(entries)} pushes: a request takes 1 to {ENTRIES}; of one payload to many"
            " devices make a list of tokens, or a fan-out",
        )
    outcomes = [_hand_over(provider, index, entry) for index, entry in enumerate(entries)]
    refused = [one.to_dict() for one in outcomes if isinstance(one, Refused)]
    tasks = [one for one in outcomes if not isinstance(one, Refused)]
    if not tasks:
        raise _refusal([one for one in outcomes if isinstance(one, Refused)])
    answer = jsonify({"tasks": tasks, "errors": refused})
    answer.status_code = HTTPStatus.ACCEPTED
    return answer


def _hand_over(provider: str, index: int, entry: Any) -> dict[str, Any] | Refused:
    try:
        id_ = publish(current_service().celery_app, *call_of(provider, entry))
    except InvalidPush as error:
        return Refused(index, HTTPStatus.BAD_REQUEST, str(error))
    except OperationalError:
        return Refused(index, HTTPStatus.SERVICE_UNAVAILABLE, "the broker has not taken it")
    return {"index": index, "id": id_, "url": url_for(".result", task_id=id_)}


def _refusal(refused: list[Refused]) -> Problem:
    errors = [one.to_dict() for one in refused]
    passing = [one for one in refused if one.status is HTTPStatus.SERVICE_UNAVAILABLE]
    if passing:
        problem = unavailable("the broker does not take pushes at the moment; try again")
        problem.members["errors"] = errors
        return problem
    details = "; ".join(one.detail for one in refused[:_SHOWN])
    return Problem(HTTPStatus.BAD_REQUEST, details, errors=errors)
