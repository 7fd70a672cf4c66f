"""The application: all views in one Blueprint, which checks each request before they see it."""

from typing import Final

from celery import Celery
from flask import Blueprint, Flask, Response
from flask.blueprints import BlueprintSetupState

from pushtasks.adapters.http import fanouts, gocm, operations, page, problems, pushes
from pushtasks.adapters.http.access import admit
from pushtasks.adapters.http.state import EXTENSION, Options, Service, current_service
from pushtasks.host import current_app as current_celery_app

#: What no answer of ours should be used for by other sites.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(celery_app: Celery | None = None, options: Options | None = None) -> Flask:
    """Make the application that `pushtasks serve` serves.

    Args:
        celery_app: Whose broker, result backend and settings to use; left out, the current one.
        options: How it behaves.
    """
    app = Flask("pushtasks", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_blueprint(make_blueprint(celery_app, options))
    problems.settle(app)
    return app


def make_blueprint(celery_app: Celery | None = None, options: Options | None = None) -> Blueprint:
    """Make a Blueprint with all views, to mount into another application.

    Its checks (API key, `Host`, `Origin`) are its own; the application's other views are left
    alone. One application takes one such Blueprint.

    Args:
        celery_app: As of `create_app`.
        options: As of `create_app`.
    """
    service = Service.make(celery_app or current_celery_app(), options or Options())
    blueprint = Blueprint("pushtasks", __name__)
    blueprint.record_once(lambda state: _remember(state, service))
    blueprint.before_request(admit)
    blueprint.before_request(_begin)
    blueprint.after_request(_finish)
    problems.settle(blueprint)
    blueprint.register_blueprint(_api(), url_prefix=problems.API_PREFIX)
    blueprint.register_blueprint(gocm.make_blueprint(), url_prefix="/gcm")
    for name in ("healthz", "readyz", "metrics"):
        blueprint.get(f"/{name}")(getattr(operations, name))
    blueprint.get("/openapi.json")(operations.openapi)
    blueprint.register_blueprint(page.make_blueprint())
    return blueprint


def _api() -> Blueprint:
    api = Blueprint(problems.API, __name__)
    api.post("/apns")(pushes.send_apns)
    api.post("/gcm")(pushes.send_gcm)
    api.get("/results/<task_id>")(pushes.result)
    api.get("/report")(operations.report)
    api.get("/fanouts")(fanouts.recent)
    api.post("/fanouts")(fanouts.start)
    api.get("/fanouts/<id_>")(fanouts.status)
    api.get("/fanouts/<id_>/failures")(fanouts.failures)
    for steer in (fanouts.pause, fanouts.cancel, fanouts.resume):
        api.post(f"/fanouts/<id_>/{steer.__name__}")(steer)
    return api


def _remember(state: BlueprintSetupState, service: Service) -> None:
    state.app.extensions[EXTENSION] = service


def _begin() -> None:
    """Look for results from the first request on: a server may fork before, never after."""
    current_service().collector.start()


def _finish(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
