"""What all views share: how the service was set up, and the ways to broker, settings and Redis.

A view, also one of the page, asks `current_service()` for it:

    service = current_service()
    report = service.store().report()          # the counters of all apps
    fanouts = fanout.recent(20, celery_app=service.celery_app)

The blueprint that holds all views has checked a request before any view sees it: the key, the
`Host` header, and of what changes something the `Origin`. So a view that is registered under that
blueprint need not, and a plain `<form method="post">` of the page works as it is.
"""

import threading
from dataclasses import dataclass, field
from typing import Final, Self

from celery import Celery
from flask import current_app

from pushtasks.adapters.http.collecting import Collector, keeps_results
from pushtasks.adapters.http.keys import ApiKeys
from pushtasks.adapters.http.ledger import Ledger
from pushtasks.adapters.http.rates import Limiter
from pushtasks.adapters.http.readiness import Readiness
from pushtasks.config import Settings, current_settings
from pushtasks.errors import InvalidSettings
from pushtasks.store import Store, current_store

#: Where an application keeps its service.
EXTENSION: Final = "pushtasks.http"
MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """How a service behaves; see `pushtasks serve --help`."""

    #: The app in the settings that `/gcm/send` sends for.
    gcm_app: str = "default"
    #: Who may use it; none: everybody who reaches it.
    api_keys: ApiKeys = field(default_factory=ApiKeys)
    #: Names by which it may be called, lower case, without port; none: any.
    hosts: tuple[str, ...] = ()
    #: Requests a second of one caller, and as many at once; 0: no limit.
    rate: float = 0.0
    #: Bytes of a request's body, but for the devices of a fan-out.
    body_limit: int = 10 * MEBIBYTE
    #: Bytes of the devices of a fan-out.
    upload_limit: int = 1024 * MEBIBYTE
    #: Fan-outs that one process publishes at a time.
    uploads: int = 4


@dataclass(frozen=True, slots=True)
class Service:
    """What views need; one for each application, made when that is made, never changed."""

    #: Whose broker, result backend and settings they use.
    celery_app: Celery
    options: Options
    #: What became of the pushes that came by `/gcm/send`, and who finds that out.
    ledger: Ledger
    collector: Collector
    limiter: Limiter
    readiness: Readiness
    #: Who holds one publishes a fan-out.
    uploads: threading.BoundedSemaphore
    #: Set when the server is to end: a fan-out that is being published stops where it is.
    stopping: threading.Event

    @classmethod
    def make(cls, celery_app: Celery, options: Options) -> Self:
        """Make a service; nothing is opened or started yet."""
        ledger = Ledger(celery_app, options.gcm_app)
        return cls(
            celery_app,
            options,
            ledger,
            Collector(celery_app, ledger),
            Limiter(options.rate),
            Readiness(celery_app),
            threading.BoundedSemaphore(options.uploads),
            threading.Event(),
        )

    @property
    def settings(self) -> Settings:
        """All settings, read on first use.

        Raises:
            InvalidSettings: They cannot be used.
        """
        return current_settings(self.celery_app)

    @property
    def keeps_results(self) -> bool:
        """Whether this process can read what tasks return."""
        return keeps_results(self.celery_app)

    def store(self) -> Store:
        """Return what the installation keeps in Redis: `report`, `entries`, `fanouts`.

        Raises:
            InvalidSettings: No setting names a Redis.
        """
        store = current_store(self.celery_app)
        if store is None:
            raise InvalidSettings(NO_REDIS)
        return store

    def stop(self) -> None:
        """End what goes on beside requests."""
        self.stopping.set()
        self.collector.stop()


NO_REDIS: Final = (
    "no Redis to keep reports in, neither as broker nor for results: set redis_url to"
    " redis://host:port/database"
)


def current_service() -> Service:
    """Return the service of the request's application."""
    service: Service = current_app.extensions[EXTENSION]
    return service
