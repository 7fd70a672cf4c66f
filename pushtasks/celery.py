"""The ready-made Celery app: of `celery -A pushtasks worker`, and of a process that has no other.

It never makes itself the current or the default app: a host's own comes first (`pushtasks.host`).
"""

import socket
from typing import Any

from celery import Celery, _state, signals

from pushtasks.celery_loader import Loader
from pushtasks.garbage import collect_seldom

__all__ = ["app", "use_as_default"]

_celery_state: Any = _state
_default = _celery_state.default_app
app = Celery("pushtasks", loader=f"{Loader.__module__}:{Loader.__qualname__}", set_as_current=False)
# Celery's Django support makes the first app that it meets the default of all threads.
_celery_state.set_default_app(_default)


def use_as_default() -> None:
    """Make the ready-made app the one that every thread uses which has no current app.

    For a process with a Celery app of its own whose pushes are to go to this one's broker.
    """
    app.set_current()
    app.set_default()


@signals.worker_init.connect
def refuse_late_patching(sender: Any, **_: object) -> None:
    """Stop a worker whose pool works by patched sockets while nothing patched them.

    Celery patches only for `-P` on the command line: by the time that it reads its settings, too
    much is imported. Such a worker would run one task at a time, if any.
    """
    pool = getattr(sender.pool_cls, "__module__", sender.pool_cls)
    name = pool.rpartition(".")[2]
    if sender.app is app and name in {"gevent", "eventlet"} and not _is_patched():
        raise SystemExit(
            f"pushtasks: worker pool {name!r} must be chosen on the command line, for settings"
            f" are read too late; start the worker with `celery -A pushtasks worker -P {name}`"
        )


@signals.worker_init.connect
def share_result_connections(sender: Any, **_: object) -> None:
    """Have greenlets share the connections by which they store results in Redis.

    Celery keeps a connection for each thread, and a greenlet, which lives for one task, is as good
    as a thread to it: most of what such a task cost was the opening of that connection.
    """
    conf = sender.app.conf
    if sender.app is app and _is_patched() and str(conf.result_backend).startswith("redis"):
        conf.result_backend_thread_safe = True


@signals.worker_init.connect
@signals.worker_ready.connect
def collect_garbage_seldom(sender: Any, **_: object) -> None:
    """Have a worker of this app spend less on it."""
    if sender.app is app:
        collect_seldom()


def _is_patched() -> bool:
    return socket.socket.__module__ != "socket"
