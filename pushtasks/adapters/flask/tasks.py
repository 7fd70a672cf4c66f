"""Tasks that run in an app context."""

from typing import TYPE_CHECKING, Any

from celery import Task, signals
from flask import Flask

from pushtasks.sending.task_base import PushTask

if TYPE_CHECKING:
    _Task = Task[Any, Any]
else:
    _Task = Task  # not a generic class when it runs


def context_task(app: Flask) -> "type[Task[Any, Any]]":
    """Return a base for tasks that run in the context of a Flask app: `Celery(task_cls=…)`."""

    class ContextTask(_Task):
        """A task that runs in an app context."""

        abstract = True

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    return ContextTask


def enter_context(task: Any, **_: object) -> None:
    """Begin the app context of one of our tasks, if its Flask app asks for that."""
    from pushtasks.adapters.flask.apps import apps_of, state_of  # noqa: PLC0415, it needs us

    if not isinstance(task, PushTask):
        return
    for app in apps_of(task.app):
        if state_of(app).in_context:
            context = app.app_context()
            context.push()
            task.request.update(flask_context=context)
            return


def leave_context(task: Any, **_: object) -> None:
    """End it."""
    context = getattr(task.request, "flask_context", None)
    if context is not None:
        context.pop()


def run_in_context() -> None:
    """Have Celery call these around every task of this process."""
    signals.task_prerun.connect(enter_context, weak=False)
    signals.task_postrun.connect(leave_context, weak=False)
