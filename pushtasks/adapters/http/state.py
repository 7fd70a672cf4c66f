"""What all views share: how the service was set up, and the ways to broker, settings and Redis.

A view, also one of the page, asks `current_service()` for it:

    service = current_service()
    report = service.store().report()          # the counters of all apps
    fanouts = fanout.recent(20, celery_app=service.celery_app)

The blueprint that holds all views has checked a request before any view sees it: the key, the
`Host` header, and of what changes something the `Origin`. So a view that is registered under that
blueprint need not, and a plain `<form method="post">` of the page works as it is.
"""

from dataclasses import dataclass, field
from typing import Final

from celery import Celery
from flask import current_app

from pushtasks.adapters.http.keys import ApiKeys
from pushtasks.config import Settings, current_settings
from pushtasks.errors import InvalidSettings
from pushtasks.store import Store, current_store

#: Where an application keeps its service.
EXTENSION: Final = "pushtasks.http"


@dataclass(frozen=True, slots=True)
class Options:
    """How a service behaves; see `pushtasks serve --help`."""

    #: The app in the settings that `/gcm/send` sends for.
    gcm_app: str = "default"
    #: Who may use it; none: everybody who reaches it.
    api_keys: ApiKeys = field(default_factory=ApiKeys)


@dataclass(frozen=True, slots=True)
class Service:
    """What views need; one for each application, made when that is made, never changed."""

    #: Whose broker, result backend and settings they use.
    celery_app: Celery
    options: Options = field(default_factory=Options)

    @property
    def settings(self) -> Settings:
        """All settings, read on first use.

        Raises:
            InvalidSettings: They cannot be used.
        """
        return current_settings(self.celery_app)

    def store(self) -> Store:
        """Return what the installation keeps in Redis: `report`, `entries`, `fanouts`.

        Raises:
            InvalidSettings: No setting names a Redis.
        """
        store = current_store(self.celery_app)
        if store is None:
            raise InvalidSettings(
                "no Redis to keep reports in, neither as broker nor for results: set redis_url to"
                " redis://host:port/database"
            )
        return store


def current_service() -> Service:
    """Return the service of the request's application."""
    service: Service = current_app.extensions[EXTENSION]
    return service
