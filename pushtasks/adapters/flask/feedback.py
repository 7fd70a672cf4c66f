"""News about devices for functions of a Flask app, each called in its app context.

They come by Celery's signals in a worker that has the Flask app, or by `flask push deliver`.
"""

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from celery import Celery
from flask import Flask

from pushtasks import signals
from pushtasks.adapters.flask.apps import all_apps, apps_of, state_of
from pushtasks.masking import mask
from pushtasks.news import Entry, Kind

logger = logging.getLogger(__name__)

Function = Callable[[Entry], Any]

_SIGNALS: Final[Mapping[Kind, Any]] = MappingProxyType(
    {
        Kind.EXPIRED: signals.token_expired,
        Kind.REPLACED: signals.token_replaced,
        Kind.REJECTED_LATE: signals.rejected_late,
    }
)


def listen(kind: Kind) -> None:
    """Hear of news of a kind in this process; once is enough."""
    _SIGNALS[kind].connect(_hear, weak=False, dispatch_uid=f"{__name__}.{kind}")


def deliver(app: Flask, entry: Entry) -> None:
    """Call all functions of a Flask app that want an entry.

    Raises:
        Exception: What the first of them has raised; the others were called.
    """
    first: Exception | None = None
    for function in state_of(app).extension.functions(entry.kind):
        try:
            with app.app_context():
                function(entry)
        except Exception as error:
            name = getattr(function, "__qualname__", repr(function))
            logger.exception(
                "%s failed on %s of %s", name, entry.kind.value, mask(entry.token), exc_info=error
            )
            first = first or error
    if first is not None:
        raise first


def _hear(sender: Celery | None, entry: Mapping[str, Any], **_: object) -> None:
    news = Entry.from_dict(entry)
    for app in _concerned(sender):
        deliver(app, news)


def _concerned(celery_app: Celery | None) -> list[Flask]:
    """Return whose news these are: of the worker's Flask app, or of the only one that there is."""
    found = apps_of(celery_app) if celery_app is not None else []
    every = all_apps()
    if not found and len(every) > 1:
        logger.warning("News about a device belong to none of %d Flask apps here", len(every))
    return found or (every if len(every) == 1 else [])
