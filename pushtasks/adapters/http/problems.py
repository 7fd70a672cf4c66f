"""What is answered when something is wrong: `application/problem+json` (RFC 9457) under `/v1`.

Elsewhere it is the same sentence as plain text, for whoever calls by hand.
"""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from flask import Response, request
from flask.sansio.scaffold import Scaffold
from kombu.exceptions import OperationalError
from werkzeug.exceptions import HTTPException

from pushtasks.errors import InvalidPush, InvalidSettings, PushError

logger = logging.getLogger(__name__)

#: The blueprint of what is for programs, and where it is.
API: Final = "v1"
API_PREFIX: Final = f"/{API}"
PROBLEM_JSON: Final = "application/problem+json"
#: Seconds after which to ask again when broker or Redis are away.
RETRY_AFTER: Final = 5


class Problem(Exception):
    """A request that is answered with an error, wherever in a view that is seen."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        """Take what is to be answered.

        Args:
            status: Of the answer.
            detail: One line: the value, the rule, the way out.
            headers: Beside `Content-Type`.
            members: Further members of the problem, as JSON.
        """
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers, self.members = dict(headers or {}), members


def unavailable(detail: str) -> Problem:
    """Return the problem that broker or Redis are away for the moment."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER)}
    )


def settle(scaffold: Scaffold) -> None:
    """Have the errors of an application's or a blueprint's views answered."""
    scaffold.register_error_handler(Problem, answer)
    scaffold.register_error_handler(PushError, _push_error)
    scaffold.register_error_handler(OperationalError, _broker_away)
    scaffold.register_error_handler(HTTPException, _http_error)
    scaffold.register_error_handler(Exception, _fault)


def answer(problem: Problem) -> Response:
    """Return the response to a request that has a problem."""
    document = problem_of(problem.status, problem.detail, **problem.members)
    if _is_api():
        body, kind = json.dumps(document), PROBLEM_JSON
    else:
        body, kind = f"{problem.detail}\n", "text/plain; charset=utf-8"
    return Response(body, problem.status, problem.headers, content_type=kind)


def problem_of(status: HTTPStatus, detail: str, **members: Any) -> dict[str, Any]:
    """Return a problem as JSON."""
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        **members,
    }


def _is_api() -> bool:
    if request.blueprint is None:  # no view was found
        return request.path.startswith(f"{API_PREFIX}/")
    return request.blueprint.rpartition(".")[2] == API


def _push_error(error: PushError) -> Response:
    if isinstance(error, InvalidPush):
        return answer(Problem(HTTPStatus.BAD_REQUEST, str(error)))
    if isinstance(error, InvalidSettings):
        return answer(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)))
    return answer(unavailable(str(error)))


def _broker_away(error: OperationalError) -> Response:
    logger.warning("broker: %s", error)
    return answer(unavailable("the broker does not take pushes at the moment; try again"))


def _http_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() in {"allow", "location", "retry-after"}
    }
    return answer(Problem(status, error.description or status.phrase, headers=headers))


def _fault(error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return answer(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of the server's; see its log"))
