"""Those to whom a worker hands news about devices: a function, a task of the host, our signals.

Each is a consumer group of the feedback stream, and so gets every entry whatever becomes of the
others.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from celery import Celery
from celery.utils.imports import symbol_by_name

from pushtasks import signals
from pushtasks.config import FeedbackSettings, current_settings
from pushtasks.news import Entry

logger = logging.getLogger(__name__)

HANDLER: Final = "pushtasks.handler"
HANDLER_TASK: Final = "pushtasks.handler_task"
SIGNALS: Final = "pushtasks.signals"
ALL: Final = (HANDLER, HANDLER_TASK, SIGNALS)


def wanted(settings: FeedbackSettings) -> tuple[str, ...]:
    """Return the names of the consumers that there are, as this process knows."""
    return tuple(
        name
        for name, is_there in (
            (HANDLER, settings.handler),
            (HANDLER_TASK, settings.handler_task),
            (SIGNALS, signals.have_receivers()),
        )
        if is_there
    )


def hand_over(celery_app: Celery, consumer: str, entries: Sequence[Entry]) -> list[Entry]:
    """Hand entries to a consumer; what goes wrong is logged.

    Returns:
        The entries that it has taken; the others are to come again.
    """
    return _WAYS[consumer](celery_app, entries)


def _to_handler(celery_app: Celery, entries: Sequence[Entry]) -> list[Entry]:
    path = current_settings(celery_app).feedback.handler or ""
    try:
        symbol_by_name(path)([entry.to_dict() for entry in entries])
    except Exception:
        logger.exception(
            "feedback.handler %s failed; its %d entries come again", path, len(entries)
        )
        return []
    return list(entries)


def _to_task(celery_app: Celery, entries: Sequence[Entry]) -> list[Entry]:
    settings = current_settings(celery_app).feedback
    try:
        celery_app.send_task(
            settings.handler_task or "",
            ([entry.to_dict() for entry in entries],),
            queue=settings.handler_queue,
            serializer="json",
            argsrepr=f"(<{len(entries)} entries>,)",  # device tokens are not for logs
        )
    except Exception:
        logger.exception(
            "feedback.handler_task %s could not be sent; its %d entries come again",
            settings.handler_task,
            len(entries),
        )
        return []
    return list(entries)


def _to_signals(celery_app: Celery, entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if signals.send(entry.to_dict(), celery_app)]


_WAYS: Final[Mapping[str, Callable[[Celery, Sequence[Entry]], list[Entry]]]] = MappingProxyType(
    {HANDLER: _to_handler, HANDLER_TASK: _to_task, SIGNALS: _to_signals}
)
