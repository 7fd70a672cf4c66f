"""Django with the model of the example project, in this process: SQLite in memory, no workers.

Django can be set up once in a process, and is when this is collected. It listens to the signals of
workers then; here it does only where a test says so, for other tests send them, too.
"""

import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django
import pytest
from celery import Celery, _state
from django.conf import settings

EXAMPLE = Path(__file__).parents[3] / "examples" / "django"

#: The second one is what a replica of the first would be.
_DATABASE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": "file:pushtasks?mode=memory&cache=shared",
}

sys.path.insert(0, str(EXAMPLE))
settings.configure(
    SECRET_KEY="x",
    ALLOWED_HOSTS=["localhost"],
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "pushtasks.adapters.django",
        "phones",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
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
    ],
    DATABASES={"default": {**_DATABASE}, "replica": {**_DATABASE}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    ROOT_URLCONF=None,
)
django.setup()

from django.contrib import admin  # noqa: E402, models need Django to be set up
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.urls import path  # noqa: E402
from phones.models import Phone  # noqa: E402

from pushtasks import signals as worker_signals  # noqa: E402
from pushtasks.adapters.django.feedback import connect, on_news  # noqa: E402
from pushtasks.feedback import Entry, Kind  # noqa: E402

settings.ROOT_URLCONF = (path("admin/", admin.site.urls),)

#: When phones of these tests were registered, unless they say otherwise.
REGISTERED = datetime(2026, 5, 1, 12, tzinfo=UTC)


def disconnect():
    for signal in (
        worker_signals.token_expired,
        worker_signals.token_replaced,
        worker_signals.rejected_late,
    ):
        signal.disconnect(on_news)


disconnect()


@pytest.fixture(scope="session")
def _tables():
    call_command("migrate", verbosity=0)


@pytest.fixture(autouse=True)
def _database(_tables, monkeypatch):
    """Tables with nothing in them, after a test as before."""
    # A browser of other tests may run an event loop in this thread: Django would object to it, and
    # has another connection under it, hence the shared cache above.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    yield
    Phone._base_manager.all().delete()
    User.objects.all().delete()


@pytest.fixture
def make_phone():
    """(token, fields) → a phone in the database."""

    def make(token="ab" * 32, **fields):
        given = {"provider": "apns", "owner": "ada", "registered_at": REGISTERED, **fields}
        return Phone.objects.create(token=token, **given)

    return make


@pytest.fixture
def news():
    """(token, seconds after the registration, fields) → an entry of the feedback stream."""

    def make(token="ab" * 32, seconds=60.0, **fields):
        seen_at = REGISTERED + timedelta(seconds=seconds)
        given = {"kind": Kind.EXPIRED, "provider": "apns", "app": "default", "reason": "gone"}
        return Entry(**{**given, "token": token, "seen_at": seen_at, "id": "1-0", **fields})

    return make


@pytest.fixture
def rows():
    """Return what is in the table, by token: whether it is active, and why not."""
    fields = ("token", "is_active", "inactive_reason")
    return lambda: {token: (*rest,) for token, *rest in Phone.objects.values_list(*fields)}


@pytest.fixture
def table_away():
    """Return a context in which the table is not to be found."""

    def run(statement):
        with connection.cursor() as cursor:
            cursor.execute(statement)

    @contextmanager
    def away():
        run("ALTER TABLE phones_phone RENAME TO away")
        try:
            yield
        finally:
            run("ALTER TABLE away RENAME TO phones_phone")

    return away


@pytest.fixture
def listening():
    """This process takes what its workers learn, as Django has it do everywhere else."""
    connect()
    yield
    disconnect()


@pytest.fixture
def host(emulator, redis_server, monkeypatch):
    """The project's Celery app; its tasks run where they are called, and meet the emulator."""
    redis_server.flush()
    monkeypatch.setenv("PUSHTASKS_CONFIG", str(emulator.directory / "pushtasks.toml"))
    app = Celery("host", broker=redis_server.url(0), backend=redis_server.url(1))
    app.conf.update(pushtasks={}, task_always_eager=True)
    yield app
    _state._set_current_app(None)
    app.close()
