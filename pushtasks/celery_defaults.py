"""The settings of the ready-made Celery app, in the form of a `celeryconfig` module.

Each can be overridden by name, in a `celeryconfig.py` of your own or in Django's settings (see
`pushtasks.celery_loader`, which also adds what follows from other settings: result backend, queues,
pool, concurrency, visibility timeout).
"""

import os

__all__ = [
    "accept_content",
    "broker_connection_retry_on_startup",
    "broker_url",
    "redis_socket_keepalive",
    "result_accept_content",
    "result_expires",
    "result_serializer",
    "task_acks_late",
    "task_create_missing_queues",
    "task_default_queue",
    "task_reject_on_worker_lost",
    "task_routes",
    "task_serializer",
    "worker_deduplicate_successful_tasks",
    "worker_prefetch_multiplier",
]

broker_url = os.environ.get("PUSHTASKS_BROKER_URL") or "redis://localhost:6379/0"
broker_connection_retry_on_startup = True
redis_socket_keepalive = True

# Tasks and results are plain JSON; nothing else is accepted from the broker.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
result_accept_content = ["json"]
#: Seconds.
result_expires = 24 * 60 * 60

# A task is taken off the queue when it is done, so a killed worker loses none; one that was done
# when its message came a second time is not done again.
task_acks_late = True
task_reject_on_worker_lost = True
worker_deduplicate_successful_tasks = True
# As many tasks wait in the worker as are running, so that no thread waits for the broker.
worker_prefetch_multiplier = 2

# Task events are left off, as Celery has them: they cost a task a quarter of its time. Flower
# switches them on for as long as it watches.

# Single pushes, long lists and the daily feedback do not stand in each other's way: start further
# workers with `-Q push` or `-Q push.bulk` to give one of them its own.
task_routes = {
    "pushtasks.*_many": {"queue": "push.bulk"},
    "pushtasks.send_chunk": {"queue": "push.bulk"},
    "pushtasks.*_feedback": {"queue": "push.feedback"},
    "pushtasks.*": {"queue": "push"},
}
task_create_missing_queues = True
# Not Celery's own default, `celery`: on a broker that is shared with another Celery app, that app's
# tasks wait there, and are none of our workers' business.
task_default_queue = "push"
