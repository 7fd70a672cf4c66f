"""The project. Its Celery app is imported here, so that pushes go to its broker."""

from mysite.celery import app as celery_app

__all__ = ["celery_app"]
