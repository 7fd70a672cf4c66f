"""When an app may send: at its rate over all workers, and not while its provider asks to wait."""

import logging
import math
import time
from collections.abc import Iterable
from typing import Any, Final

from celery import Celery

from pushtasks.results import Provider, Verdict
from pushtasks.retries import silence_after
from pushtasks.store import StoreUnavailable, current_store
from pushtasks.store.rates import Limit, Turn

logger = logging.getLogger(__name__)

#: By provider and app until when it is to be silent, on the monotonic clock, as far as this process
#: knows; others learn it from Redis where they ask there.
_silent_until: Final[dict[tuple[Provider, str], float]] = {}
_AT_ONCE: Final = Turn(0.0, 0)


def limit_of(provider: Provider, app: Any) -> Limit:
    """Return how fast an app may send.

    Args:
        provider: The app's.
        app: Its settings.
    """
    return Limit(provider, app.name, app.per_second, app.ramp)


def turn(celery_app: Celery, limit: Limit, count: int, slot: int) -> Turn:
    """Return when a list may be sent; Redis is asked only for apps with a rate.

    Args:
        celery_app: Whose Redis to ask. If it is away nobody waits.
        limit: The app.
        count: Pushes of the list.
        slot: What it was given the last time, or 0.
    """
    left = _silent_until.get((limit.provider, limit.app), 0.0) - time.monotonic()
    if left > 0:
        return Turn(left, slot)
    store = current_store(celery_app) if limit.rate else None
    if store is None:
        return _AT_ONCE
    try:
        return store.rates.turn(limit, count, slot)
    except StoreUnavailable as error:
        logger.warning("%s; %s app %r sends without regard to its rate", error, *limit[:2])
        return _AT_ONCE


def forget() -> None:
    """Let all apps send again that are silent, as far as this process is concerned; for tests."""
    _silent_until.clear()


def heed(celery_app: Celery, limit: Limit, verdicts: Iterable[Verdict]) -> None:
    """Have all workers wait if answers to pushes of an app ask for it."""
    seconds = asked_silence(limit, verdicts)
    if not seconds:
        return
    store = current_store(celery_app)
    try:
        if store:
            store.rates.pause(limit, seconds)
    except StoreUnavailable as error:
        logger.warning("%s; other workers do not hear that %s is busy", error, limit.provider)


def asked_silence(limit: Limit, verdicts: Iterable[Verdict]) -> float:
    """Return the seconds for which an app is to be silent, and remember it; 0 if it is not."""
    asked = (silence_after(limit.provider, verdict) for verdict in verdicts if verdict.reason)
    seconds = max(asked, default=0.0)
    if seconds:
        logger.warning(
            "%s app %r sends nothing for %d s, as the provider asks",
            limit.provider,
            limit.app,
            math.ceil(seconds),
        )
        _silent_until[limit.provider, limit.app] = time.monotonic() + seconds
    return seconds
