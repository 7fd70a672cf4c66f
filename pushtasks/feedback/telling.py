"""Tells what became of pushes: to Redis, and from there to whoever waits for it.

What is told must never harm the push that it is about: nothing here raises.
"""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from celery import Celery

from pushtasks import signals
from pushtasks.config import current_settings
from pushtasks.feedback import consumers
from pushtasks.feedback.breaker import Window, is_too_much
from pushtasks.news import Entry, News, Tally
from pushtasks.store import Noted, Store, current_store
from pushtasks.store.keys import BREAKER_ALARM_LEAST
from pushtasks.store.tallies import judged

logger = logging.getLogger(__name__)

#: The task that delivers news, by name, since it stands above us; and where it waits.
DELIVERY_TASK: Final = "pushtasks.deliver_feedback"
QUEUE: Final = "push.feedback"

_windows: Final[dict[tuple[str, str, str], Window]] = {}
_windows_lock: Final = threading.Lock()


def tell(celery_app: Celery, tally: Tally) -> None:
    """Tell what became of the pushes of one try; never raises.

    With Redis it is counted and its news are in the feedback stream when this returns, or wait in
    memory for Redis to come back. Without, the consumers hear of it before this returns.
    """
    try:
        settings = current_settings(celery_app).feedback
        store = current_store(celery_app)
        if store is None:
            hand_over(celery_app, tally)
        else:
            follow_up(celery_app, store.note(tally, consumers.wanted(settings)))
    except Exception:
        logger.exception("The feedback of %s app %r is not told", tally.provider, tally.app)


def record(celery_app: Celery, store: Store, news: Iterable[News]) -> None:
    """Put news on the feedback stream, all of them or none, and have them delivered.

    Raises:
        StoreUnavailable: Redis cannot be reached; they may be on the stream all the same if only
            its answer was lost.
    """
    settings = current_settings(celery_app).feedback
    follow_up(celery_app, store.record(news, consumers.wanted(settings)))


def wake(celery_app: Celery, consumer: str) -> None:
    """Have news delivered to a consumer; never raises."""
    try:
        task: Any = celery_app.tasks[DELIVERY_TASK]
        task.apply_async(kwargs={"consumer": consumer}, retry=False)
    except Exception:
        logger.exception("%s could not be sent; news will try again in a minute", DELIVERY_TASK)


def follow_up(celery_app: Celery, noted: Iterable[Noted]) -> None:
    """Do what noting has set off: have news delivered, raise an alarm."""
    for one in noted:
        for consumer in one.wake:
            wake(celery_app, consumer)
        if one.is_alarm:
            _raise_alarm(one)


def _raise_alarm(noted: Noted) -> None:
    logger.error(
        "%s app %r%s: %d of %d pushes within 20 minutes were rejected for reasons that can mean a"
        " wrong environment, topic or certificate; until that is set right such tokens are not"
        " reported as dead",
        noted.provider,
        noted.app,
        f" ({noted.environment})" if noted.environment else "",
        noted.suspicious,
        noted.judged,
    )
    signals.mass_rejection.send(
        sender=None,
        provider=noted.provider,
        app=noted.app,
        environment=noted.environment,
        held=noted.held,
        suspicious=noted.suspicious,
        judged=noted.judged,
    )


# Without Redis --------------------------------------------------------------------------------


def hand_over(celery_app: Celery, tally: Tally) -> list[Entry]:
    """Let the consumers hear of what one try has to tell, at once and once.

    Returns:
        What they were told; the breaker has held back the rest.
    """
    settings = current_settings(celery_app).feedback
    suspicious = sum(news.is_suspicious for news in tally.news)
    with _windows_lock:
        window = _windows.setdefault((tally.provider, tally.app, tally.environment), Window())
        counts = window.add(suspicious, judged(tally), time.monotonic())
    is_held = suspicious > 0 and is_too_much(*counts, settings.breaker)
    entries = [Entry(**asdict(news)) for news in tally.news if not (is_held and news.is_suspicious)]
    for consumer in consumers.wanted(settings) if entries else ():
        consumers.hand_over(celery_app, consumer, entries)
    if is_held and counts[0] >= BREAKER_ALARM_LEAST:
        _raise_alarm(
            Noted(
                tally.provider,
                tally.app,
                tally.environment,
                held=suspicious,
                suspicious=counts[0],
                judged=counts[1],
            )
        )
    return entries


def forget() -> None:
    """Begin to count anew how many rejections are suspicious; for tests."""
    with _windows_lock:
        _windows.clear()
