"""Which Celery app a call goes to: the host's own, else the ready-made one.

Celery has a current app for each thread, the one made last in it, and a default app for all
threads, made up on the spot with a broker on localhost if nobody chose one. A host makes its app in
the main thread, a web server calls from others: there Celery's `shared_task` goes to the made-up
app. So the order is:

1. the app of the web application at work here, where an adapter knows it (`choosers`);
2. the current app of this thread;
3. the default app, if somebody chose it (a worker, Celery's Django support, `app.set_default()`);
4. the only app in the process that was made to be current;
5. the ready-made app, `pushtasks.celery:app`.
"""

from collections.abc import Callable
from typing import Any, Final

from celery import Celery, _state, shared_task
from celery.local import Proxy
from celery.utils.imports import symbol_by_name

from pushtasks.errors import InvalidSettings

_celery_state: Any = _state
#: By name, since it stands above us.
READY_MADE: Final = "pushtasks.celery:app"
#: Asked in turn for the Celery app that belongs here; each returns None where it does not know.
choosers: Final[list[Callable[[], Celery | None]]] = []


def current_app() -> Celery:
    """Return the app whose broker a push goes to when it is sent from here.

    Raises:
        InvalidSettings: There are several apps, and nothing tells which is meant in this thread.
    """
    for choose in choosers:
        if (chosen := choose()) is not None:
            return chosen
    current: Celery | None = _celery_state._tls.current_app  # noqa: SLF001
    return current or _chosen_default() or _only_app() or _ready_made()


def host_task(*, name: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a task of a function, as `celery.shared_task` does, that goes by `current_app()`.

    Args:
        name: The task's name, given always, since it is how the task is found.
        options: Any option of a Celery task.

    Returns:
        A decorator; what it returns stands for the task of that name in the app of the moment.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        register: Any = shared_task(name=name, **options)
        register(function)
        return Proxy(lambda: current_app().tasks[name], name=function.__name__)

    return decorate


def _chosen_default() -> Celery | None:
    default: Celery | None = _celery_state.default_app
    return None if default is None or _is_made_up(default) else default


def _is_made_up(app: Any) -> bool:
    """Tell the app that Celery makes when it is asked for one and there is none."""
    return app.main == "default" and not app.set_as_current and not app.fixups


def _only_app() -> Celery | None:
    apps: list[Any] = [app for app in list(_celery_state._get_active_apps()) if app.set_as_current]  # noqa: SLF001
    if len(apps) > 1:
        names = ", ".join(sorted(repr(app.main) for app in apps))
        raise InvalidSettings(
            f"several Celery apps ({names}), none of them current in this thread;"
            " call set_default() on the one that is to send the pushes"
        )
    return apps[0] if apps else None


def _ready_made() -> Celery:
    app: Celery = symbol_by_name(READY_MADE)
    return app
