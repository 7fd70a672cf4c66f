"""All settings together, read once for each Celery app."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from celery import Celery
from celery.local import Proxy
from pydantic import ValidationError

from pushtasks import redis_urls
from pushtasks.config.apps import ApnsApp, FeedbackSettings, GcmApp, WrittenSettings
from pushtasks.config.concealed import setting_of
from pushtasks.config.mistakes import invalid_settings, lines_of, names_written
from pushtasks.config.sources import FILE_NAME, Sources, read_sources
from pushtasks.config.watching import LogSettings, MetricsSettings
from pushtasks.errors import InvalidPush, InvalidSettings

_App = TypeVar("_App", ApnsApp, GcmApp)

#: Makes other settings, as they are written, of those that are.
Revise = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_settings_by_app: WeakKeyDictionary[Celery, "Settings"] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Settings:
    """The apps that pushes can be sent for; none if nothing is set."""

    apns: Mapping[str, ApnsApp]
    gcm: Mapping[str, GcmApp]
    #: Folder of the TOML file, else the working directory.
    directory: Path
    #: For `redis.Redis.from_url`; it may have a password in it.
    redis_url: str | None = field(default=None, repr=False)
    feedback: FeedbackSettings = field(default_factory=FeedbackSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    logs: LogSettings = field(default_factory=LogSettings)

    @property
    def configured(self) -> bool:
        """Whether there is any app: a web process may have none."""
        return bool(self.apns or self.gcm)

    def apns_app(self, name: str) -> ApnsApp:
        """Return an app at Apple.

        Raises:
            InvalidPush: There is none of that name; the message lists the names there are.
        """
        return self._app("apns", self.apns, name)

    def gcm_app(self, name: str) -> GcmApp:
        """Return an app at Google.

        Raises:
            InvalidPush: There is none of that name; the message lists the names there are.
        """
        return self._app("gcm", self.gcm, name)

    def _app(self, provider: str, apps: Mapping[str, _App], name: str) -> _App:
        if name in apps:
            return apps[name]
        known = f"there are {', '.join(sorted(apps))}" if apps else "there are none"
        raise InvalidPush(
            f"app {name!r} is not in the {provider} settings ({known}); use one of them, or add"
            f" [{provider}.{name}] to {self.directory / FILE_NAME}"
        )


def load_settings(
    celery_setting: Mapping[str, object] | None,
    *,
    environ: Mapping[str, str] = os.environ,
    directory: Path | None = None,
    revise: Revise | None = None,
) -> Settings:
    """Read, merge and check the settings.

    Args:
        celery_setting: The Celery setting `pushtasks`, a dict of the TOML file's shape, if any.
        environ: Environment variables.
        directory: Where to look for `pushtasks.toml`, and what paths outside of a file are relative
            to; None: the working directory.
        revise: Takes what all sources say together, and returns what holds; None: just that.

    Raises:
        InvalidSettings: Something is wrong; the message has a line for each mistake.
    """
    sources = _sources(celery_setting, environ, directory)
    if revise is not None:
        sources = replace(sources, values=revise(sources.values))
    written, lines = _checked(sources)
    if written is None or lines:
        raise invalid_settings(lines, sources.names) from None
    return Settings(
        apns=MappingProxyType(written.apns),
        gcm=MappingProxyType(written.gcm),
        directory=sources.directory,
        redis_url=written.redis_url,
        feedback=written.feedback,
        metrics=written.metrics,
        logs=written.logs,
    )


def mistakes_in(
    celery_setting: Mapping[str, object] | None,
    *,
    environ: Mapping[str, str] = os.environ,
    directory: Path | None = None,
) -> list[str]:
    """Return what is wrong with the settings, a line for each mistake; all arguments as above."""
    try:
        return _checked(_sources(celery_setting, environ, directory))[1]
    except InvalidSettings as error:
        return [str(error)]


def _sources(
    celery_setting: Mapping[str, object] | None,
    environ: Mapping[str, str],
    directory: Path | None,
) -> Sources:
    if not isinstance(celery_setting, Mapping | None):
        raise InvalidSettings(
            f"Celery setting pushtasks is a {type(celery_setting).__name__}; it must be a dict of"
            " the shape of pushtasks.toml"
        )
    return read_sources(celery_setting, environ, directory or Path.cwd())


def _checked(sources: Sources) -> tuple[WrittenSettings | None, list[str]]:
    """Return settings, None if they have no shape, and a line for each mistake."""
    lines = [*sources.mistakes, *names_written(sources.values)]
    try:
        return WrittenSettings.model_validate(sources.values), lines
    except ValidationError as error:
        return None, lines + lines_of(error)


def current_settings(app: Celery) -> Settings:
    """Return the settings that go with a Celery app, read on first use.

    `redis_url` defaults to the Redis of the app's result backend, else to that of its broker.

    Raises:
        InvalidSettings: As `load_settings`.
    """
    if isinstance(app, Proxy):
        app = app._get_current_object()  # noqa: SLF001
    settings = _settings_by_app.get(app)
    if settings is None:
        settings = _settings_by_app.setdefault(app, _read(app))
    return settings


def use_settings(app: Celery, settings: Settings) -> None:
    """Let a Celery app go by these, whatever its configuration, files and environment say."""
    _settings_by_app[app] = settings


def read_settings(app: Celery, revise: Revise | None = None) -> Settings:
    """Read the settings that go with a Celery app; arguments and errors as of `load_settings`."""
    settings = load_settings(setting_of(app), revise=revise)
    return replace(settings, redis_url=settings.redis_url or _redis_of(app))


@contextmanager
def settings_read_by(read: Callable[[Celery], Settings]) -> Iterator[None]:
    """Let every Celery app go by what `read` returns for it, in the whole process, for a while.

    For tests. Whatever was read before holds again afterwards.
    """
    global _read, _settings_by_app
    before = _read, _settings_by_app
    _read, _settings_by_app = read, WeakKeyDictionary()
    try:
        yield
    finally:
        _read, _settings_by_app = before


_read: Callable[[Celery], Settings] = read_settings


def _redis_of(app: Celery) -> str | None:
    for name in ("result_backend", "broker_url"):
        url = app.conf[name]
        first = url[0] if isinstance(url, list | tuple) and url else url
        if isinstance(first, str):
            if fault := redis_urls.fault_of(first):
                raise InvalidSettings(f"{name} {fault}")
            if found := redis_urls.client_url(first):
                return found
    return None
