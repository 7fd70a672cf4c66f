"""What operators and their programs ask: does it live, can it work, what has it done."""

from http import HTTPStatus
from importlib.util import find_spec

from flask import Response, jsonify

from pushtasks.adapters.http.openapi import document
from pushtasks.adapters.http.problems import Problem
from pushtasks.adapters.http.state import current_service


def healthz() -> Response:
    """Tell that the process lives."""
    return jsonify({"status": "ok"})


def readyz() -> Response:
    """Tell whether broker and Redis answer."""
    found = current_service().readiness.found()
    is_ready = all(found.values())
    words = {name: "ok" if answers else "unreachable" for name, answers in found.items()}
    answer = jsonify({"status": "ready" if is_ready else "unready", **words})
    answer.status_code = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return answer


def report() -> Response:
    """Return the counters of all apps."""
    return jsonify(current_service().store().report())


def metrics() -> Response:
    """Return figures for Prometheus."""
    if find_spec("prometheus_client") is None:
        raise Problem(
            HTTPStatus.NOT_IMPLEMENTED,
            "prometheus_client is missing: install it with  pip install 'pushtasks[serve]'",
        )
    from pushtasks.adapters.prometheus.store import store_metrics  # noqa: PLC0415

    text, content_type = store_metrics(current_service().celery_app)
    return Response(text, content_type=content_type)


def openapi() -> Response:
    """Return the description of all this for programs."""
    return jsonify(document())
