"""The application: all views in one Blueprint, which checks each request before they see it."""

from importlib import import_module
from importlib.util import find_spec

from celery import Celery
from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState

from pushtasks.adapters.http.access import admit
from pushtasks.adapters.http.state import EXTENSION, Options, Service
from pushtasks.host import current_app as current_celery_app


def create_app(celery_app: Celery | None = None, options: Options | None = None) -> Flask:
    """Make the application that `pushtasks serve` serves.

    Args:
        celery_app: Whose broker, result backend and settings to use; left out, the current one.
        options: How it behaves.
    """
    app = Flask("pushtasks")
    app.register_blueprint(make_blueprint(celery_app, options))
    return app


def make_blueprint(celery_app: Celery | None = None, options: Options | None = None) -> Blueprint:
    """Make a Blueprint with all views, to mount into another application.

    Its checks (API key, `Host`, `Origin`) are its own; the application's other views are left
    alone. One application takes one such Blueprint.

    Args:
        celery_app: As of `create_app`.
        options: As of `create_app`.
    """
    service = Service(celery_app or current_celery_app(), options or Options())
    blueprint = Blueprint("pushtasks", __name__)
    blueprint.record_once(lambda state: _settle(state, service))
    blueprint.before_request(admit)
    if find_spec("pushtasks.adapters.http.page") is not None:
        page = import_module("pushtasks.adapters.http.page")
        if hasattr(page, "make_blueprint"):
            blueprint.register_blueprint(page.make_blueprint())
    return blueprint


def _settle(state: BlueprintSetupState, service: Service) -> None:
    state.app.extensions[EXTENSION] = service
