"""What operators and their programs ask: does it live, can it work, what has it done."""

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any, Final

from celery import Celery
from flask import Response, jsonify

from pushtasks.adapters.http.openapi import document
from pushtasks.adapters.http.problems import Problem
from pushtasks.adapters.http.state import Service, current_service

logger = logging.getLogger(__name__)

#: Seconds that broker and Redis have to answer, together.
PATIENCE: Final = 2.0


def healthz() -> Response:
    """Tell that the process lives."""
    return jsonify({"status": "ok"})


def readyz() -> Response:
    """Tell whether broker and Redis answer."""
    service = current_service()
    checks = {"broker": lambda: _ask_broker(service.celery_app), "store": lambda: _ask(service)}
    found = _ask_all(checks)
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


def _ask_all(checks: dict[str, Callable[[], None]]) -> dict[str, bool]:
    """Make checks side by side; those that raise, or take too long, have failed."""
    found = dict.fromkeys(checks, False)

    def check(name: str) -> None:
        try:
            checks[name]()
            found[name] = True
        except Exception as error:  # noqa: BLE001, of whatever transport
            logger.warning("not ready: %s: %s", name, error)

    threads = [threading.Thread(target=check, args=(name,), daemon=True) for name in checks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE / len(threads))
    return dict(found)


def _ask_broker(celery_app: Celery) -> None:
    connection: Any = celery_app.connection_for_write()
    connection.transport_options = {
        **(connection.transport_options or {}),
        "socket_connect_timeout": PATIENCE,
        "socket_timeout": PATIENCE,
    }
    with connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)


def _ask(service: Service) -> None:
    service.store().cursor("readyz")
