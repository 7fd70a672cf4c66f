"""Push notifications as Celery tasks."""
