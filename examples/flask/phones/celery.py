"""The Celery app, made as Flask's documentation has it: its tasks run in the app context."""

from celery import Celery
from flask import Flask

from pushtasks.adapters.flask import context_task


def celery_init_app(app: Flask) -> Celery:
    """Give a Flask app a Celery app."""
    celery_app = Celery(app.name, task_cls=context_task(app))
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app
