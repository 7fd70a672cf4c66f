"""Tells of a push that its gateway refused after it had counted as accepted."""

from dataclasses import replace
from datetime import UTC, datetime

from celery import Celery

from pushtasks import observers
from pushtasks.config import current_settings
from pushtasks.feedback.telling import tell
from pushtasks.masking import mask
from pushtasks.news import Kind, News, Tally
from pushtasks.observers import RejectedLate
from pushtasks.results import APNS, Action, Identifier, Verdict
from pushtasks.retries import rule_for


def rejected_late(
    celery_app: Celery,
    app_name: str,
    token: str,
    verdict: Verdict,
    identifier: Identifier | None = None,
) -> None:
    """Tell of a push that was rejected after its task had called it accepted; never raises.

    Args:
        celery_app: Whose worker this is.
        app_name: The app at Apple.
        token: The device token.
        verdict: What the gateway said.
        identifier: What the caller calls the push, if he does.
    """
    app = current_settings(celery_app).apns.get(app_name)
    late = News(
        Kind.REJECTED_LATE,
        APNS,
        app_name,
        token,
        seen_at=datetime.now(UTC),
        reason=verdict.reason,
        status=verdict.status,
        dead_since=verdict.dead_since,
        identifier=identifier,
    )
    news = [late]
    if rule_for(APNS, verdict).action is Action.DROP_TOKEN:
        news.append(replace(late, kind=Kind.EXPIRED))
    environment = app.environment if app else ""
    tell(
        celery_app,
        Tally(APNS, app_name, environment, accepted=-1, late=1, news=tuple(news)),
    )
    if observers.registered:
        observers.tell(RejectedLate(APNS, app_name, str(verdict.reason), mask(token)))
