"""Settings of the example; what concerns pushes is at the end."""

import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "only for an example"  # noqa: S105
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "pushtasks.adapters.django",
    "phones",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "mysite.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "db.sqlite3",
        "ATOMIC_REQUESTS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
STATIC_URL = "static/"

# Celery's, of this project's own app.
REDIS = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
CELERY_BROKER_URL = f"{REDIS}/0"
CELERY_RESULT_BACKEND = f"{REDIS}/1"
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = 16

# Keys and addresses. These are of the pretend Apple and Google that `pushtasks emulator` runs; with
# keys of your own, leave out `server` and `ca_file`, and it is the real ones.
PROVIDERS = BASE_DIR / "providers"
ENDPOINTS = PROVIDERS / "endpoints.json"
if not ENDPOINTS.exists():
    raise SystemExit("No pretend providers: run  pushtasks emulator --dir providers  first")
SERVERS = json.loads(ENDPOINTS.read_text())
PUSHTASKS = {
    "apns": {
        "default": {
            "topic": "com.example.app",
            "key": PROVIDERS / "apns-key.p8",
            "key_id": "EMULATOR01",
            "team_id": "TEAM123456",
            "server": SERVERS["apns"],
            "ca_file": PROVIDERS / "ca.pem",
        }
    },
    "gcm": {
        "default": {
            "credentials": PROVIDERS / "service-account.json",
            "server": SERVERS["fcm"],
            "ca_file": PROVIDERS / "ca.pem",
        }
    },
}
