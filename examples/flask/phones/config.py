"""The app's config; FLASK_… in the environment overrides it."""

import os
import secrets
from pathlib import Path

_FOLDER = Path(__file__).parents[1]
_REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")

SECRET_KEY = secrets.token_hex()
DATABASE = str(_FOLDER / "phones.sqlite3")
#: As in any Flask app with Celery.
CELERY = {
    "broker_url": f"{_REDIS}/0",
    "result_backend": f"{_REDIS}/1",
    "task_ignore_result": True,
    "broker_connection_retry_on_startup": True,
}
#: Keys and servers, here those of the pretend Apple and Google.
PUSHTASKS_CONFIG = str(_FOLDER / "providers" / "pushtasks.toml")
