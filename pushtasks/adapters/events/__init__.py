"""Celery events that tell what becomes of pushes, beside Celery's own of tasks.

    push-accepted, push-rejected, push-retried, push-not-sent, push-maybe-sent, push-rejected-late

Workers send them while Celery's task events are on: Flower, `celery events` and `celery control
enable_events` switch them on, `-E` from the start. Importing this module is all that it takes: the
loader of the ready-made Celery app does, another app names it in its setting `imports`.
"""

from typing import Any, Final

from celery import signals

#: By name, so that only workers import what workers are made of.
STEP: Final = f"{__name__}.step:PushEvents"


@signals.worker_init.connect
def add_to_worker(sender: Any, **_: object) -> None:
    """Have a worker tell of its pushes; called before it forks."""
    sender.app.steps["consumer"].add(STEP)
