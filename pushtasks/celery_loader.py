"""Where the ready-made Celery app gets its settings from, the first time that one is asked for.

Key by key, the later wins: `pushtasks.celery_defaults`; a `celeryconfig` module, importable from
the working directory or named by CELERY_CONFIG_MODULE; the Django settings CELERY_* and PUSHTASKS,
where DJANGO_SETTINGS_MODULE names a module. What is then missing follows from what is there.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, Final

from celery.loaders.base import BaseLoader
from kombu import Exchange, Queue

from pushtasks import redis_urls
from pushtasks.config import FeedbackSettings, load_settings
from pushtasks.config.concealed import Concealed
from pushtasks.errors import InvalidSettings
from pushtasks.schedule import schedule

QUEUES: Final = ("push", "push.bulk", "push.feedback")
POOL: Final = "threads"
_CELERY_POOL: Final = "prefork"
#: Tasks that one worker process runs at a time; pools that are not named go by the number of cores.
CONCURRENCY: Final = MappingProxyType({"threads": 64, "gevent": 100, "eventlet": 100})
#: Seconds until Redis hands out a task again whose worker fell silent.
VISIBILITY_TIMEOUT: Final = 600
#: Connections of a worker process to Redis, made as needed. Each of many threads or greenlets may
#: need one to acknowledge its task; beyond Celery's own limit, 10, acknowledgements are lost.
MAX_CONNECTIONS: Final = 1000
#: How workers look for such tasks (kombu 5.7 and newer): every ten seconds, not on every tenth of
#: these occasions only; and a worker that is killed while it looks keeps the others from looking
#: for half a minute, not for five.
SEARCH: Final = MappingProxyType({"unacked_restore_throttle": 1, "unacked_mutex_expire": 30})

_DJANGO_PREFIX: Final = "CELERY_"


class Loader(BaseLoader):
    """Celery's extension point for reading settings and for the modules that hold the tasks."""

    #: Not in `imports` or `include`, which a user's settings may replace.
    builtin_modules = frozenset({"pushtasks.tasks"})

    def read_configuration(self, env: str = "CELERY_CONFIG_MODULE") -> dict[str, Any]:
        """Return all settings.

        Raises:
            InvalidSettings: A PUSHTASKS_ variable holds what it cannot hold, or the module named by
                CELERY_CONFIG_MODULE does not exist.
        """
        settings = {
            **_settings_in(import_module("pushtasks.celery_defaults")),
            **self._celeryconfig(os.environ.get(env)),
            **_django_settings(os.environ),
        }
        settings = completed(settings, os.environ, sys.argv)
        if isinstance(settings.get("pushtasks"), Mapping):
            settings["pushtasks"] = Concealed(settings["pushtasks"])
        return settings

    def _celeryconfig(self, name: str | None) -> dict[str, Any]:
        module = name or "celeryconfig"
        try:
            return _settings_in(self.import_from_cwd(module))
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise  # it is there, but something that it imports is not
            if name:
                raise InvalidSettings(
                    f"CELERY_CONFIG_MODULE: no module {name!r}; name one that can be imported from"
                    f" {os.getcwd()!r}, or unset the variable"  # noqa: PTH109
                ) from None
            return {}


def built_in(environ: Mapping[str, str], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the settings of the ready-made app as nobody has overridden them.

    Args:
        environ: Environment variables.
        arguments: The command line of this process.

    Raises:
        InvalidSettings: A variable that should hold a number does not, or a URL cannot be read.
    """
    settings = _settings_in(import_module("pushtasks.celery_defaults"))
    settings["broker_url"] = environ.get("PUSHTASKS_BROKER_URL") or settings["broker_url"]
    return completed(settings, environ, arguments)


def completed(
    settings: Mapping[str, Any], environ: Mapping[str, str], arguments: Sequence[str]
) -> dict[str, Any]:
    """Add to Celery settings what follows from others and from the environment.

    Args:
        settings: Celery settings by their lower-case names.
        environ: Environment variables.
        arguments: The command line of this process.

    Raises:
        InvalidSettings: A variable that should hold a number does not.
    """
    set_pool = settings.get("worker_pool") or environ.get("PUSHTASKS_WORKER_POOL") or POOL
    pool = _pool_argument(arguments) or set_pool
    results = {"result_backend": _result_backend(settings, environ), **settings}["result_backend"]
    return {
        "result_backend": results,
        "worker_concurrency": _number(environ, "PUSHTASKS_WORKER_CONCURRENCY")
        or CONCURRENCY.get(pool),
        "task_queues": [Queue(name, Exchange(name, "direct"), routing_key=name) for name in QUEUES],
        **settings,
        **_transport_options(settings, environ),
        **_deduplication(results),
        "beat_schedule": _beat_schedule(settings, environ),
        # Celery goes by this setting when it meets `-P prefork`, its word for "no choice made".
        "worker_pool": _CELERY_POOL if _pool_argument(arguments) else set_pool,
    }


def _deduplication(result_backend: str | None) -> dict[str, Any]:
    """Celery looks a task that comes again up in the results, and loses it where there are none."""
    has_results = bool(result_backend) and result_backend != "disabled"
    return {} if has_results else {"worker_deduplicate_successful_tasks": False}


def _result_backend(settings: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    broker = _readable(_broker_url(settings, environ), "the broker's URL, PUSHTASKS_BROKER_URL,")
    if url := environ.get("PUSHTASKS_RESULT_BACKEND"):
        return _readable(url, "PUSHTASKS_RESULT_BACKEND")
    return redis_urls.result_backend_beside(broker)


def _readable(url: str, name: str) -> str:
    if fault := redis_urls.fault_of(url):
        raise InvalidSettings(f"{name} {fault}")
    return url


def _broker_url(settings: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """As Celery sees it: its own variable, also set by `celery --broker`, comes first."""
    url = environ.get("CELERY_BROKER_URL") or settings["broker_url"]
    return url if isinstance(url, str) else str(url[0])


def _transport_options(settings: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Celery asks for the same visibility timeout in all three places."""
    timeout = _number(environ, "PUSHTASKS_VISIBILITY_TIMEOUT")
    if timeout is None:
        timeout = VISIBILITY_TIMEOUT
    broker = {
        "visibility_timeout": timeout,
        "max_connections": MAX_CONNECTIONS,
        **SEARCH,
        **settings.get("broker_transport_options", {}),
    }
    shared = {
        name: broker[name] for name in ("visibility_timeout", "master_name") if name in broker
    }
    return {
        "broker_transport_options": broker,
        "result_backend_transport_options": {
            **shared,
            **settings.get("result_backend_transport_options", {}),
        },
        "visibility_timeout": broker["visibility_timeout"],
    }


def _beat_schedule(settings: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Add ours to a schedule of the user's; an entry that is None is left out."""
    entries = {**schedule(_poll_at(settings, environ)), **(settings.get("beat_schedule") or {})}
    return {name: entry for name, entry in entries.items() if entry is not None}


def _poll_at(settings: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    try:
        return load_settings(settings.get("pushtasks"), environ=environ).feedback.poll_at
    except InvalidSettings:  # whoever sends a push is told; a process that sends none may go on
        return FeedbackSettings().poll_at


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise InvalidSettings(f"{name}: {text!r} is no whole number above 0; correct or unset it")
    return int(text)


def _pool_argument(arguments: Sequence[str]) -> str | None:
    """Return what follows -P or --pool on a worker's command line."""
    if "worker" not in arguments:
        return None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument in {"-P", "--pool"}:
            return following
        if argument.startswith("--pool="):
            return argument.removeprefix("--pool=")
        if argument.startswith("-P"):
            return argument.removeprefix("-P")
    return None


def _settings_in(module: ModuleType) -> dict[str, Any]:
    names = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
    values = {name: getattr(module, name) for name in names}
    return {name: value for name, value in values.items() if not isinstance(value, ModuleType)}


def _django_settings(environ: Mapping[str, str]) -> dict[str, Any]:
    if not environ.get("DJANGO_SETTINGS_MODULE"):
        return {}
    try:
        django = import_module("django.conf").settings
    except ModuleNotFoundError:
        return {}  # Celery itself warns that the variable is set but Django is not installed
    settings = {
        name.removeprefix(_DJANGO_PREFIX).lower(): getattr(django, name)
        for name in dir(django)
        if name.startswith(_DJANGO_PREFIX)
    }
    if hasattr(django, "PUSHTASKS"):
        settings["pushtasks"] = django.PUSHTASKS
    return settings
