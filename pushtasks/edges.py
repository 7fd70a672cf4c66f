"""What listens at the edges: begun when a worker starts, by name and only if it is wanted.

So a worker without metrics, traces and structured logs imports none of what they are made of, and
the core knows nothing of adapters.
"""

from importlib.util import find_spec
from typing import Any, Final

from celery import signals
from celery.concurrency import get_implementation
from celery.utils.imports import symbol_by_name

from pushtasks.config import Settings, current_settings
from pushtasks.errors import InvalidSettings, PushError
from pushtasks.host import current_app

EVENTS: Final = "pushtasks.adapters.events:add_to"
SIGNS_OF_LIFE: Final = "pushtasks.adapters.alive:give_signs"
METRICS: Final = "pushtasks.adapters.prometheus.worker:start"
TRACES: Final = "pushtasks.adapters.opentelemetry:start"
JSON_LOGS: Final = "pushtasks.adapters.json_logs:begin"


def connect() -> None:
    """Have workers of any Celery app in this process begin what they want."""
    signals.worker_init.connect(begin_with_worker)
    signals.after_setup_logger.connect(begin_with_logs)
    signals.after_setup_task_logger.connect(begin_with_logs)


def begin_with_worker(sender: Any, **_: object) -> None:
    """Begin events, signs of life, metrics and traces, before a worker forks.

    Raises:
        SystemExit: The metrics cannot be served where the settings say.
    """
    symbol_by_name(EVENTS)(sender.app)
    symbol_by_name(SIGNS_OF_LIFE)()
    settings = _settings_of(sender.app)
    if settings and settings.metrics.listen:
        symbol_by_name(METRICS)(sender.app, forks=_forks(sender.pool_cls))
    if find_spec("opentelemetry") and find_spec("opentelemetry.trace"):
        symbol_by_name(TRACES)()


def begin_with_logs(logger: Any, **_: object) -> None:
    """Have a log that Celery has set up, and no host, written as the settings say."""
    try:
        settings = _settings_of(current_app())
    except PushError:  # several Celery apps
        return
    if settings and settings.logs.format == "json":
        symbol_by_name(JSON_LOGS)(logger)


def _settings_of(celery_app: Any) -> Settings | None:
    try:
        return current_settings(celery_app)
    except InvalidSettings:  # whoever sends a push is told
        return None


def _forks(pool: Any) -> bool:
    """Tell whether a pool runs tasks in forked processes."""
    return get_implementation(pool).__module__ == "celery.concurrency.prefork"
