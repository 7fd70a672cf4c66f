"""What `celery -A phones.worker worker` starts: the Celery app of the Flask app."""

from phones import create_app

celery_app = create_app().extensions["celery"]
