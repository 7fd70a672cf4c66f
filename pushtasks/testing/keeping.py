"""An outbox as a context manager: settings that lead nowhere, and tasks that run where they are."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from celery import Celery

from pushtasks.clients import Makers
from pushtasks.config import ApnsApp, GcmApp, Settings, read_settings
from pushtasks.testing.box import Outbox
from pushtasks.testing.carrier import carried_out_here
from pushtasks.testing.clients import makers_of
from pushtasks.testing.isolation import isolated
from pushtasks.testing.settings import NOWHERE, app_nowhere, has_apps, redirected


@contextmanager
def outbox(settings: Mapping[str, Any] | None = None) -> Iterator[Outbox]:
    """Keep all pushes of this process in an outbox for a while, whichever way they are sent.

    Tasks run at once where they are called, whatever the broker is, and so do fan-outs; what they
    tell of devices comes to handlers, signals and `feedback.read` as always.

    Args:
        settings: In the shape of `pushtasks.toml`, on top of what the process has. Apps go by their
            own settings, but for keys and servers; where the process knows none, there is one of
            whatever name a task asks for.

    Yields:
        The pushes, and by whom to have them rejected.

    Raises:
        InvalidSettings: When the first push is sent: settings are wrong in some other respect.
    """
    box, more = Outbox(), settings or {}
    makers = Makers(*makers_of(box.keep))

    def read(celery_app: Celery) -> Settings:
        own: list[bool] = []

        def revise(written: Mapping[str, Any]) -> Any:
            own.append(has_apps(written))
            return redirected(written, more, NOWHERE)

        found = read_settings(celery_app, revise)
        if any(own):
            return found
        apns, gcm = _AnyApps("apns", ApnsApp, found.apns), _AnyApps("gcm", GcmApp, found.gcm)
        return replace(found, apns=apns, gcm=gcm)

    with ExitStack() as stack:
        stack.enter_context(isolated(read, makers, has_redis="redis_url" in more))
        stack.enter_context(carried_out_here())
        yield box


class _AnyApps(dict[str, Any]):
    """Apps by any name, since the process itself knows none, and workers may know any."""

    def __init__(
        self, provider: str, make: type[ApnsApp | GcmApp], known: Mapping[str, Any]
    ) -> None:
        super().__init__(known)
        self._provider = provider
        self._make = make

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __missing__(self, name: str) -> Any:
        return self._make(**app_nowhere(self._provider, name))
