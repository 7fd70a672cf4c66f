"""What a process remembers of pushes, set aside for a test and brought back after it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from celery import Celery

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks.clients import Makers, clients_made_by
from pushtasks.config import Settings, settings_read_by
from pushtasks.feedback import telling
from pushtasks.sending import pacing
from pushtasks.store.current import make_store, stores_made_by
from pushtasks.testing.memory import MemoryStore

if TYPE_CHECKING:
    from pushtasks.store import Store


@contextmanager
def isolated(
    read: Callable[[Celery], Settings], makers: Makers, *, has_redis: bool
) -> Iterator[None]:
    """Let all Celery apps of this process go by other settings, a store and clients of their own.

    Args:
        read: Returns the settings of a Celery app.
        makers: Make the clients.
        has_redis: Whether to keep fan-outs and feedback in the Redis of these settings; else they
            are kept in memory.
    """
    with ExitStack() as stack:
        stack.enter_context(settings_read_by(read))
        stack.enter_context(stores_made_by(make_store if has_redis else _in_memory))
        stack.enter_context(clients_made_by(makers))
        for forget in (telling.forget, pacing.forget):
            forget()
            stack.callback(forget)
        yield


def _in_memory(celery_app: Celery) -> "Store":
    store: Any = MemoryStore(celery_app)
    return store  # type: ignore[no-any-return]
