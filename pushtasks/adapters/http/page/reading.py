"""Reads what the page shows: settings, keys, and what all processes keep in Redis."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from pushtasks.adapters.http.page.credentials import credential
from pushtasks.adapters.http.page.snapshot import App, Setup, Snapshot, Stream
from pushtasks.adapters.http.state import Service
from pushtasks.config import ApnsApp, GcmApp, Settings
from pushtasks.errors import InvalidSettings
from pushtasks.feedback import consumers
from pushtasks.results import APNS, GCM
from pushtasks.store import Store, StoreUnavailable
from pushtasks.store.fanout_state import Fanout

#: Name of the secret that forms are sealed with.
SECRET: Final = "page"  # noqa: S105
#: News and fan-outs that are looked through, the newest ones.
NEWS: Final = 300
FANOUTS: Final = 50
#: Fan-outs that are over and yet shown.
OVER: Final = 8


def read(service: Service, now: datetime) -> Snapshot:
    """Read everything; what cannot be read is told among the troubles.

    Args:
        service: Whose settings and Redis.
        now: Aware.
    """
    try:
        settings = service.settings
    except InvalidSettings as error:
        return Snapshot(now, troubles=_mistakes(str(error)))
    apps = {(app.provider, app.name): app for app in _configured(settings, now)}
    try:
        return _stored(service.store(), settings, apps, now)
    except (InvalidSettings, StoreUnavailable) as error:
        return Snapshot(now, tuple(apps.values()), troubles=(str(error),))


def _mistakes(message: str) -> tuple[str, ...]:
    """Return the lines of an error about settings, but for the heading of several."""
    first, *rest = message.splitlines()
    return tuple(line.strip() for line in rest or [first])


def _configured(settings: Settings, now: datetime) -> Iterable[App]:
    for apns in settings.apns.values():
        yield App(APNS, apns.name, _setup(apns, _apns_purpose(apns), now))
    for gcm in settings.gcm.values():
        yield App(GCM, gcm.name, _setup(gcm, gcm.project or "", now))


def _setup(app: ApnsApp | GcmApp, purpose: str, now: datetime) -> Setup:
    return Setup(app.protocol, purpose, app.rate, credential(app, now))


def _apns_purpose(app: ApnsApp) -> str:
    parts = (app.topic, "sandbox" if app.environment == "sandbox" else None)
    return ", ".join(part for part in parts if part)


def _stored(
    store: Store, settings: Settings, apps: dict[tuple[str, str], App], now: datetime
) -> Snapshot:
    report = store.report()
    return Snapshot(
        now,
        apps=tuple(_with_counters(store, apps, report)),
        fanouts=_fanouts(store.fanouts.newest(FANOUTS)),
        news=tuple(store.entries(count=NEWS, newest_first=True)),
        stream=Stream(**report["stream"]),
        failing=_failing(store),
        breaker=settings.feedback.breaker,
        secret=store.secret(SECRET),
    )


def _with_counters(
    store: Store, apps: dict[tuple[str, str], App], report: dict[str, Any]
) -> Iterable[App]:
    """Yield the apps of the settings, then those that are known by their pushes alone."""
    sent = [(provider, name) for provider in (APNS, GCM) for name in report[provider]]
    wanted = list(dict.fromkeys([*apps, *sent]))
    for (provider, name), health in zip(wanted, store.health(wanted), strict=True):
        known = apps.get((provider, name))
        setup = known.setup if known else None
        yield App(provider, name, setup, report[provider].get(name, {}), health)


def _fanouts(newest: list[Fanout]) -> tuple[Fanout, ...]:
    over = [fanout for fanout in newest if fanout.is_over]
    return (*(fanout for fanout in newest if not fanout.is_over), *over[:OVER])


def _failing(store: Store) -> dict[str, int]:
    failures = {name: store.turn(name).failures() for name in consumers.ALL}
    return {name: count for name, count in failures.items() if count}
