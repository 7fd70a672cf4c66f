"""An outbox as a context manager: settings that lead nowhere, and tasks that run where they are."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from celery import Celery

from pushtasks.clients import Makers
from pushtasks.config import ApnsApp, GcmApp, Settings, read_settings
from pushtasks.testing.box import Outbox
from pushtasks.testing.carrier import carried_out_here
from pushtasks.testing.clients import makers_of
from pushtasks.testing.isolation import isolated
from pushtasks.testing.settings import NOWHERE, app_nowhere, redirected

_App = TypeVar("_App", ApnsApp, GcmApp)


@contextmanager
def outbox(settings: Mapping[str, Any] | None = None) -> Iterator[Outbox]:
    """Keep all pushes of this process in an outbox for a while, whichever way they are sent.

    Tasks run at once where they are called, whatever the broker is, and so do fan-outs; what they
    tell of devices comes to handlers, signals and `feedback.read` as always.

    Args:
        settings: In the shape of `pushtasks.toml`, on top of what the process has. Apps go by their
            own settings, but for keys and servers; where there is none, by whatever name a task
            asks for.

    Yields:
        The pushes, and by whom to have them rejected.

    Raises:
        InvalidSettings: When the first push is sent: settings are wrong in some other respect.
    """
    box, more = Outbox(), settings or {}
    apns, fcm = makers_of(box.keep)

    def read(celery_app: Celery) -> Settings:
        found = read_settings(celery_app, lambda written: redirected(written, more, NOWHERE))
        if found.configured:
            return found
        return replace(found, apns=_AnyApps("apns", ApnsApp), gcm=_AnyApps("gcm", GcmApp))

    with ExitStack() as stack:
        has_redis = "redis_url" in more
        stack.enter_context(isolated(read, Makers(apns, fcm), has_redis=has_redis))
        stack.enter_context(carried_out_here())
        yield box


class _AnyApps(dict[str, _App]):
    """Apps by any name; it is empty all the same, as of a web process that knows no app."""

    def __init__(self, provider: str, make: Callable[..., _App]) -> None:
        super().__init__()
        self._provider = provider
        self._make: Callable[..., _App] = make

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __missing__(self, name: str) -> _App:
        app: _App = self._make(**app_nowhere(self._provider, name))
        return app
