"""The store of a process: one for each Celery app, made on first use, made anew after a fork."""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        return _stores.setdefault(celery_app, _make(celery_app))


@contextmanager
def stores_made_by(make: Callable[[Celery], Store | None]) -> Iterator[None]:
    """Let `make` make the store of every Celery app, in the whole process, for a while.

    For tests. Stores that were there before are there again afterwards.
    """
    global _make, _stores
    before = _make, _stores
    _make, _stores = make, WeakKeyDictionary()
    try:
        yield
    finally:
        _make, _stores = before


def make_store(celery_app: Celery) -> Store | None:
    """Return a new store in the Redis of a Celery app's settings; None if they name none."""
    settings = current_settings(celery_app)
    return Store(settings, settings.redis_url) if settings.redis_url else None


_make: Callable[[Celery], Store | None] = make_store


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
