"""Celery settings for a worker started in this folder: `celery -A pushtasks worker`.

An installed pushtasks has them built in and needs no such file; one in your own folder overrides
the settings that it names. Any setting of Celery can be added below, for example:

    broker_url = "amqp://guest@localhost//"
    result_backend = "redis://localhost:6379/1"   # default: database 1 of the broker's Redis
    worker_pool = "prefork"                       # default: "threads"
    worker_concurrency = 8
    pushtasks = {"apns": {"default": {"topic": "com.example.app", ...}}}   # as in pushtasks.toml

The gevent pool must be chosen on the command line (`celery -A pushtasks worker -P gevent`). Without
any file, the environment sets what matters most: PUSHTASKS_BROKER_URL, PUSHTASKS_RESULT_BACKEND,
PUSHTASKS_VISIBILITY_TIMEOUT, PUSHTASKS_WORKER_POOL and PUSHTASKS_WORKER_CONCURRENCY.
"""

from pushtasks.celery_defaults import *  # noqa: F403
