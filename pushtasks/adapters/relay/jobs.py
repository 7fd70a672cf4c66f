"""What a relay is asked to do: by gapless's settings file, by our own settings, or by both."""

import os
from pathlib import Path
from typing import NamedTuple

from celery import Celery

from pushtasks.adapters.relay.entries import Reader
from pushtasks.adapters.relay.gapless import GaplessSettings, parse_gapless
from pushtasks.adapters.relay.standalone import own_celery_app
from pushtasks.config import current_settings
from pushtasks.config.sources import FILE_VARIABLE
from pushtasks.errors import InvalidSettings
from pushtasks.host import current_app


class Place(NamedTuple):
    """Where the entries are."""

    redis_url: str
    key: str


class Job(NamedTuple):
    """What is to become of them."""

    celery_app: Celery
    #: The app's name in the settings of the workers.
    app: str
    reader: Reader
    #: Whether its workers log successes, as far as this process knows.
    log_successes: bool = False


def read_settings(file: Path, key: str | None = None) -> GaplessSettings | None:
    """Return the settings of a file of gapless's.

    Args:
        file: If it is a TOML file, it is one of ours; then all that reads our settings reads it.
        key: Of a list, instead of the one in the file.

    Returns:
        None if it is one of ours.

    Raises:
        InvalidSettings: It cannot be read, or is wrong.
    """
    if file.suffix == ".toml":
        os.environ[FILE_VARIABLE] = str(file.absolute())
        return None
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSettings(
            f"settings file {file} cannot be read ({error.strerror}); give the path of gapless's"
            " settings file, or of a pushtasks.toml"
        ) from None
    except UnicodeDecodeError:
        raise InvalidSettings(f"settings file {file} is not UTF-8 text; save it as such") from None
    gapless = parse_gapless(text, file.absolute())
    return gapless.model_copy(update={"redis_queue_key": key}) if key else gapless


def place_of(gapless: GaplessSettings | None, redis_url: str | None, key: str | None) -> Place:
    """Return where the entries are.

    Args:
        gapless: Those settings, if they were given.
        redis_url: Instead of the settings' own.
        key: Of the list, where gapless's settings do not name it.

    Raises:
        InvalidSettings: Nothing names the list or its Redis, or our settings cannot be used.
    """
    if gapless:
        return Place(redis_url or gapless.redis_url, gapless.redis_queue_key)
    if not key:
        raise InvalidSettings("no list: give gapless's settings file, or name the list with --key")
    url = redis_url or current_settings(current_app()).redis_url
    if not url:
        raise InvalidSettings(
            "no Redis that could have the list: give --redis-url redis://host:port/database"
        )
    return Place(url, key)


def job_alone(gapless: GaplessSettings, redis_url: str) -> Job:
    """Return the job of a relay with a worker of its own.

    Raises:
        InvalidSettings: That worker could send nothing.
    """
    return _job(own_celery_app(gapless, redis_url), gapless.redis_queue_key)


def job_with_workers(app: str) -> Job:
    """Return the job of a relay that hands over to workers that run elsewhere.

    Raises:
        InvalidPush: This process has settings of apps, and there is none of that name.
        InvalidSettings: The settings cannot be used.
    """
    return _job(current_app(), app)


def _job(celery_app: Celery, name: str) -> Job:
    settings = current_settings(celery_app)
    if not settings.configured:
        return Job(celery_app, name, Reader())
    app = settings.apns_app(name)
    reader = Reader(app.command if app.protocol == "binary" else None)
    return Job(celery_app, name, reader, app.log_successes)
