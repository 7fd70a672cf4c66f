"""Which Celery app belongs to which Flask app, and the other way round."""

import os
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from celery import Celery
from celery._state import connect_on_app_finalize
from flask import Flask, current_app, has_app_context

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks import host
from pushtasks.adapters.flask.settings import FlaskSettings
from pushtasks.adapters.flask.tasks import context_task
from pushtasks.celery_loader import built_in
from pushtasks.config.concealed import setting_of
from pushtasks.errors import InvalidSettings

if TYPE_CHECKING:
    from pushtasks.adapters.flask.extension import PushTasks

#: Where a Flask app keeps us, and where Flask's documentation has it keep its Celery app.
KEY: Final = "pushtasks"
CELERY: Final = "celery"
_BROKER: Final = "PUSHTASKS_BROKER_URL"

#: Those that were given the extension and live.
_apps: "Final[WeakSet[Flask]]" = WeakSet()
_making: Final = threading.Lock()


@dataclass(slots=True)
class State:
    """What a Flask app keeps of us."""

    extension: "PushTasks"
    settings: FlaskSettings
    #: Whether our tasks are to run in its context.
    in_context: bool
    #: The one that was given to us, or that we have made.
    celery_app: Celery | None = None


def register(app: Flask, state: State) -> None:
    """Take a Flask app among ours.

    Raises:
        InvalidSettings: Its Celery app has other settings already.
    """
    app.extensions[KEY] = state
    _apps.add(app)
    for celery_app in (state.celery_app, _hosts(app)):
        if celery_app is not None:
            _give_settings(celery_app, state.settings)


def state_of(app: Flask) -> State:
    """Return what a Flask app keeps of us.

    Raises:
        InvalidSettings: It was not given the extension.
    """
    state = app.extensions.get(KEY)
    if not isinstance(state, State):
        raise InvalidSettings(
            f"Flask app {app.name!r} does not know pushtasks: call init_app(app) of its PushTasks"
        )
    return state


def celery_of(app: Flask) -> Celery:
    """Return the Celery app by which a Flask app's pushes go.

    The one that the extension was given; else, unless the config names a broker for pushes, the
    Flask app's own; else one of ours, made now.
    """
    state, own = state_of(app), _hosts(app)
    if own is not None:
        _give_settings(own, state.settings)
    if own is not None and state.celery_app is None and _BROKER not in state.settings.variables:
        return own
    with _making:
        if state.celery_app is None:
            state.celery_app = _made(app, state.settings)
        return state.celery_app


def apps_of(celery_app: Celery) -> list[Flask]:
    """Return the Flask apps that a Celery app belongs to."""
    return [app for app in _apps if celery_app in (state_of(app).celery_app, _hosts(app))]


def all_apps() -> list[Flask]:
    """Return all Flask apps of this process that were given the extension."""
    return list(_apps)


def _hosts(app: Flask) -> Celery | None:
    """Return the Flask app's own Celery app, kept as Flask's documentation says."""
    found = app.extensions.get(CELERY)
    return found if isinstance(found, Celery) else None


def _made(app: Flask, settings: FlaskSettings) -> Celery:
    """Make a Celery app for a Flask app, with the settings of the ready-made one."""
    celery_app: Any = Celery(app.import_name, set_as_current=False, task_cls=context_task(app))
    conf = built_in({**os.environ, **settings.variables}, sys.argv)
    celery_app.config_from_object({**conf, "pushtasks": dict(settings.values)})
    # Outside of an app context it is found as the only one of its process, by any thread.
    celery_app.set_as_current = True
    return celery_app  # type: ignore[no-any-return]


def _give_settings(celery_app: Celery, settings: FlaskSettings) -> None:
    known, values = setting_of(celery_app), dict(settings.values)
    if known and values and known != values:
        raise InvalidSettings(
            f"Celery app {celery_app.main!r} has other settings of pushtasks already: give each"
            " Flask app a Celery app of its own, and write them in one place"
        )
    if values and not known:
        celery_app.conf.pushtasks = values


def _give_settings_late(celery_app: Celery) -> None:
    """Find the Flask app of a Celery app that was made after the extension."""
    for app in _apps:
        if _hosts(app) is celery_app:
            _give_settings(celery_app, state_of(app).settings)


def _of_the_request() -> Celery | None:
    if not has_app_context():
        return None
    app: Any = current_app
    app = app._get_current_object()  # noqa: SLF001, Flask's documented way to the app itself
    return celery_of(app) if KEY in app.extensions else None


host.choosers.append(_of_the_request)
connect_on_app_finalize(_give_settings_late)
