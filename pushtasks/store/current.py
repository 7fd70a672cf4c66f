"""The store of a process: one for each Celery app, made on first use, made anew after a fork."""

import atexit
import os
from weakref import WeakKeyDictionary

from celery import Celery, signals
from celery.local import Proxy

from pushtasks.config import current_settings
from pushtasks.store.store import Store

_stores: WeakKeyDictionary[Celery, Store | None] = WeakKeyDictionary()


def current_store(celery_app: Celery) -> Store | None:
    """Return this process's store for a Celery app; None if its settings name no Redis.

    Raises:
        InvalidSettings: The settings cannot be used.
    """
    if isinstance(celery_app, Proxy):
        celery_app = celery_app._get_current_object()  # noqa: SLF001
    try:
        return _stores[celery_app]
    except KeyError:
        settings = current_settings(celery_app)
        url = settings.redis_url
        return _stores.setdefault(celery_app, Store(settings, url) if url else None)


def _flush(**_: object) -> None:
    for store in list(_stores.values()):
        if store is not None:
            store.flush()


def _forget() -> None:
    """Begin anew in a forked process: what waits in the parent's memory, the parent will write."""
    global _stores  # noqa: PLW0603
    _stores = WeakKeyDictionary()


atexit.register(_flush)
os.register_at_fork(after_in_child=_forget)
signals.worker_process_shutdown.connect(_flush)
signals.worker_shutdown.connect(_flush)
