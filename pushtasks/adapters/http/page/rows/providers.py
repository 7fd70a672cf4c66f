"""How each app fares at its provider, and as whom it sends. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pushtasks.adapters.http.page.attention import Level, expires_soon, held_back
from pushtasks.adapters.http.page.figures import Moment, span
from pushtasks.adapters.http.page.snapshot import App, Snapshot
from pushtasks.store.health import Health

MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """How an app fares at its provider, and as whom it sends."""

    label: str
    service: str
    purpose: str
    level: str
    state: str
    accepted: Moment | None
    rate: str
    credential: str
    #: Which key or certificate.
    credential_name: str
    expires: Moment | None
    expiry: str
    expiry_level: str


def provider_row(app: App, snapshot: Snapshot) -> ProviderRow:
    """Return the row of an app."""
    level, state = _standing(app, snapshot)
    setup, health = app.setup, app.health
    credential = setup.credential if setup else None
    expires = credential.expires if credential else None
    expiry, expiry_level = _expiry(app, snapshot)
    return ProviderRow(
        label=app.label,
        service=app.service,
        purpose=setup.purpose if setup else "",
        level=level,
        state=state,
        accepted=_accepted(health, snapshot.now) if health else None,
        rate=_rate(app),
        credential=credential.kind if credential else "",
        credential_name=credential.name if credential else "",
        expires=Moment.of(expires, snapshot.now) if expires else None,
        expiry=expiry,
        expiry_level=expiry_level,
    )


def _standing(app: App, snapshot: Snapshot) -> tuple[str, str]:
    if app.health is None:
        return "unknown", "not known"
    if app.health.pause:
        return Level.WARNING, f"paused for {span(app.health.pause)} more"
    if held_back(app, snapshot):
        return Level.WRONG, "dead tokens held back"
    if app.health.accepted_at is None:
        return "unknown", "nothing accepted yet" if app.counters else "not used yet"
    return "fine", "fine"


def _accepted(health: Health, now: datetime) -> Moment | None:
    """Return when the last push was accepted, which is known to the minute."""
    if health.accepted_at is None:
        return None
    moment = Moment.of(health.accepted_at, now)
    is_recent = now - health.accepted_at < MINUTE
    return moment._replace(distance="within a minute") if is_recent else moment


def _rate(app: App) -> str:
    rate = (app.setup.rate if app.setup else None) or ""
    if app.health and app.health.backlog >= 1:
        return f"{rate}, used up for {span(app.health.backlog)}".removeprefix(", ")
    return rate


def _expiry(app: App, snapshot: Snapshot) -> tuple[str, str]:
    if app.setup is None:
        return "not in the settings of this process", "unknown"
    found = app.setup.credential
    if found.problem:  # in full it stands above, among the concerns
        return "cannot be used", Level.WRONG
    if found.expires is None:
        return "does not expire", "fine"
    return "", Level.WARNING if expires_soon(found, snapshot.now) else "fine"
