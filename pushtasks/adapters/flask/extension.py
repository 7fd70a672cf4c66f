"""The extension."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from celery import Celery
from flask import Flask, current_app, has_app_context

from pushtasks.adapters.flask import feedback
from pushtasks.adapters.flask.apps import State, celery_of, register
from pushtasks.adapters.flask.commands import group
from pushtasks.adapters.flask.feedback import Function
from pushtasks.adapters.flask.settings import read_config
from pushtasks.adapters.flask.tasks import run_in_context
from pushtasks.errors import InvalidSettings
from pushtasks.news import Kind

_F = TypeVar("_F", bound=Callable[..., Any])

#: Name of the group of commands, after `flask`.
CLI_GROUP: Final = "push"


class PushTasks:
    """pushtasks for one Flask app, or for each of several.

    It holds the functions that want news of devices, and no more of an app: what is an app's own is
    in `app.extensions["pushtasks"]`.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        celery: Celery | None = None,
        app_context: bool = False,
        cli_group: str | None = CLI_GROUP,
    ) -> None:
        """Make it, for an app that is there already or for `init_app`.

        Args:
            app: To be given to `init_app` at once.
            celery: As of `init_app`.
            app_context: Whether the tasks of pushtasks, too, run in the app context, in workers
                that have the Flask app. News about devices always come in one.
            cli_group: What the commands are called after `flask`; None: there are none.

        Raises:
            InvalidSettings: As of `init_app`.
        """
        self._functions: dict[Kind, list[Function]] = {kind: [] for kind in Kind}
        self._in_context = app_context
        self._cli_group = cli_group
        self._app = app
        if app is not None:
            self.init_app(app, celery=celery)

    def init_app(self, app: Flask, *, celery: Celery | None = None) -> None:
        """Read an app's config, and have its pushes go by its Celery app.

        Args:
            app: With its config complete. Its Celery app, in `app.extensions["celery"]` as Flask's
                documentation has it, may be made before or after.
            celery: Another one for pushes. Left out, it is the app's own; or, if it has none or the
                config says PUSHTASKS_BROKER_URL, one of ours.

        Raises:
            InvalidSettings: The config is wrong; the message has a line for each mistake. Or the
                Celery app has the settings of another Flask app.
        """
        settings = read_config(app.config, Path(app.root_path))
        register(app, State(self, settings, self._in_context, celery))
        if self._in_context:
            run_in_context()
        if self._cli_group is not None:
            app.cli.add_command(group(self._cli_group))

    @property
    def celery(self) -> Celery:
        """The Celery app by which the current Flask app's pushes go.

        Raises:
            InvalidSettings: There is no app context, and the extension was not made for one app.
        """
        app: Any = current_app
        if has_app_context():
            return celery_of(app._get_current_object())  # noqa: SLF001, Flask's documented way
        if self._app is None:
            raise InvalidSettings("no Flask app is at work here: use it in an app context")
        return celery_of(self._app)

    # News of devices ----------------------------------------------------------------------------

    def token_expired(self, function: _F) -> _F:
        """Have a function called with each `Entry` about a device whose token is dead."""
        return self._register(Kind.EXPIRED, function)

    def token_replaced(self, function: _F) -> _F:
        """Have a function called with each `Entry` about a registration id with a successor."""
        return self._register(Kind.REPLACED, function)

    def rejected_late(self, function: _F) -> _F:
        """Have a function called with each `Entry` about a push that was rejected afterwards."""
        return self._register(Kind.REJECTED_LATE, function)

    def functions(self, kind: Kind) -> Sequence[Function]:
        """Return the functions that want news of a kind."""
        return tuple(self._functions[kind])

    def _register(self, kind: Kind, function: _F) -> _F:
        self._functions[kind].append(function)
        feedback.listen(kind)
        return function
