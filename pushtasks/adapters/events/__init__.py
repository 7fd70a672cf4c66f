"""Celery events that tell what becomes of pushes, beside Celery's own of tasks.

    push-accepted, push-rejected, push-retried, push-not-sent, push-maybe-sent, push-rejected-late

Workers send them while Celery's task events are on: Flower, `celery events` and `celery control
enable_events` switch them on, `-E` from the start.
"""

from typing import Final

from celery import Celery

#: By name, so that only workers import what workers are made of.
STEP: Final = f"{__name__}.step:PushEvents"


def add_to(celery_app: Celery) -> None:
    """Have workers of an app tell of their pushes; to be called before they are made."""
    celery_app.steps["consumer"].add(STEP)
