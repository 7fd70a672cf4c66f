"""Whether broker and Redis answer: asked once for all who want to know at the same time."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from celery import Celery

from pushtasks.adapters.limits import broker_limits
from pushtasks.errors import InvalidSettings
from pushtasks.store import current_store

logger = logging.getLogger(__name__)

#: Seconds that both have to answer, together.
PATIENCE: Final = 2.0
#: Seconds for which an answer holds: whoever asks needs no key, and must not cost much.
FRESH: Final = 1.0


class Readiness:
    """What was found last; for several threads."""

    def __init__(self, celery_app: Celery) -> None:
        """Take whose broker and Redis it is about."""
        self._checks: Mapping[str, Callable[[], None]] = {
            "broker": lambda: _ask_broker(celery_app),
            "store": lambda: _ask_store(celery_app),
        }
        self._lock = threading.Lock()
        self._found: dict[str, bool] = {}
        self._until = 0.0

    def found(self) -> dict[str, bool]:
        """Return whether each of `broker` and `store` answers."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._found = _ask_all(self._checks)
                self._until = time.monotonic() + FRESH
            return self._found


def _ask_all(checks: Mapping[str, Callable[[], None]]) -> dict[str, bool]:
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
        **broker_limits(celery_app, PATIENCE),
    }
    with connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)


def _ask_store(celery_app: Celery) -> None:
    store = current_store(celery_app)
    if store is None:
        raise InvalidSettings("no setting names a Redis")
    store.cursor("readyz")
