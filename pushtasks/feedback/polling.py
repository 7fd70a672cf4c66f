"""One poll of feedback: which devices have gone, as each app's provider tells it.

An app with a feedback service is asked there. Reading empties the service's list, so nothing is
read before Redis has answered, and nothing more before what was read is stored. Of the other apps,
HTTP/2 and FCM among them, the answers to their pushes have told; what they told since the last poll
is gathered from the feedback stream.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery

from pushtasks.apns.feedback import ExpiredToken, FeedbackProtocolError
from pushtasks.apns.feedback_service import Limits, feedback_address, read_feedback
from pushtasks.config import ApnsApp, GcmApp, Settings, current_settings
from pushtasks.errors import InvalidPush, InvalidSettings, PushError
from pushtasks.feedback.leases import leased
from pushtasks.feedback.telling import record
from pushtasks.net.deadline import Deadline
from pushtasks.news import Kind, News
from pushtasks.results import APNS, GCM, Provider
from pushtasks.store import Store, StoreUnavailable, current_store
from pushtasks.store.entries import order_of

#: Devices that a result names of each app; the feedback stream has them all.
NAMED: Final = 1000
#: Seconds that Redis may be away while records are in hand, and between two tries.
PATIENCE: Final = 60.0
PAUSE: Final = 0.5
#: Entries of the stream read at a time, and where it begins.
PAGE: Final = 1000
BEGINNING: Final = "0-0"

SERVICE: Final = "feedback service"
ANSWERS: Final = "answers"
#: The reason in news that the feedback service told.
REASON: Final = "Feedback"


@dataclass(slots=True)
class Poll:
    """What is found of one app."""

    provider: Provider
    app: str
    #: Who told: `SERVICE` or `ANSWERS`.
    source: str
    #: Devices, those that are not named included.
    found: int = 0
    #: The first of them, as the result has them.
    expired: list[dict[str, Any]] = field(default_factory=list)
    #: Why not everything is found, for people; what is found stands.
    error: str | None = None

    @property
    def key(self) -> str:
        """What the app is called among all apps."""
        return f"{self.provider}:{self.app}"

    @property
    def work(self) -> str:
        """What the polling of the app is called, of which one at a time is enough."""
        return f"poll:{self.key}"

    def add(self, news: News) -> None:
        """Take a device that has gone."""
        self.found += 1
        if len(self.expired) < NAMED:
            told = news.to_dict()
            self.expired.append({key: told[key] for key in ("token", "dead_since", "reason")})

    def to_dict(self) -> dict[str, Any]:
        """Return it as the task's result has it."""
        return {
            "provider": self.provider,
            "app": self.app,
            "source": self.source,
            "found": self.found,
            "expired": self.expired,
            "error": self.error,
        }


def poll(celery_app: Celery, name: str | None = None, limits: Limits | None = None) -> list[Poll]:
    """Find out which devices have gone since the last poll.

    Args:
        celery_app: Whose settings and Redis to use.
        name: The apps of this name, at Apple and at Google; None: all.
        limits: How patient to be with a feedback service.

    Returns:
        One for each app; that one app failed is in it, and the others do not suffer.

    Raises:
        InvalidPush: There is no app of that name.
        InvalidSettings: The settings are wrong, or there is no Redis.
    """
    settings = current_settings(celery_app)
    apps = chosen_apps(settings, name)
    store = needed_store(celery_app)
    polls: list[Poll] = []
    for provider, app in apps:
        if isinstance(app, ApnsApp) and (address := feedback_address(app)):
            polls.append(_read_service(celery_app, store, app, address, limits))
        else:
            polls.append(Poll(provider, app.name, ANSWERS))
    pages = settings.feedback.length // PAGE + 1
    _gather(store, [one for one in polls if one.source == ANSWERS], pages)
    return polls


def chosen_apps(settings: Settings, name: str | None) -> list[tuple[Provider, ApnsApp | GcmApp]]:
    """Return the apps of a name, or all.

    Raises:
        InvalidPush: There is none of that name; the message lists the names there are.
    """
    apps: list[tuple[Provider, ApnsApp | GcmApp]] = [
        *((APNS, app) for app in settings.apns.values()),
        *((GCM, app) for app in settings.gcm.values()),
    ]
    chosen = [(provider, app) for provider, app in apps if name in {None, app.name}]
    if name is not None and not chosen:
        known = ", ".join(sorted({app.name for _, app in apps})) or "none"
        raise InvalidPush(
            f"app {name!r} is not in the settings (there are: {known}); use one of them, or leave"
            " it out to poll all"
        )
    return chosen


def needed_store(celery_app: Celery) -> Store:
    """Return the Redis that keeps feedback.

    Raises:
        InvalidSettings: There is none.
    """
    store = current_store(celery_app)
    if store is None:
        raise InvalidSettings(
            "poll_feedback needs redis_url: reading empties Apple's list, and there is nowhere to"
            " keep it; set it to redis://host:port/database"
        )
    return store


# Asking a feedback service --------------------------------------------------------------------


def _read_service(
    celery_app: Celery, store: Store, app: ApnsApp, address: tuple[str, int], limits: Limits | None
) -> Poll:
    found = Poll(APNS, app.name, SERVICE)
    with _told(found), leased(store, found.work) as lease:

        def keep(records: Sequence[ExpiredToken]) -> None:
            news = [_news(app, record) for record in records]
            _store(celery_app, store, news)
            for one in news:
                found.add(one)
            lease.renew()

        try:
            read_feedback(app, address, keep, limits)
        except OSError as error:
            host, port = address
            raise PushError(
                f"feedback service {host}:{port}: {error}; see that it runs and that"
                f" apns.{app.name}.feedback leads to it"
            ) from None
    return found


def _news(app: ApnsApp, record: ExpiredToken) -> News:
    return News(
        Kind.EXPIRED,
        APNS,
        app.name,
        record.device_token,
        seen_at=datetime.now(UTC),
        reason=REASON,
        dead_since=record.dead_since,
    )


def _store(celery_app: Celery, store: Store, news: Sequence[News]) -> None:
    """Store records that exist nowhere else any more; the service waits while Redis restarts."""
    deadline = Deadline(PATIENCE)
    while True:
        try:
            record(celery_app, store, news)
        except StoreUnavailable:
            if not deadline.left:
                raise
            time.sleep(PAUSE)
        else:
            return


# Gathering what answers have told -------------------------------------------------------------


def _gather(store: Store, polls: Sequence[Poll], pages: int) -> None:
    """Read the stream once for all these apps, from where the last poll of each has ended."""
    with _told(*polls), ExitStack() as leases:
        mine = {}
        for one in polls:
            with _told(one):
                leases.enter_context(leased(store, one.work))
                mine[one.key] = one
        if mine:
            _gather_mine(store, mine, pages)


def _gather_mine(store: Store, polls: Mapping[str, Poll], pages: int) -> None:
    cursors = {key: store.cursor(key) or BEGINNING for key in polls}
    last = min(cursors.values(), key=order_of)
    for _ in range(pages):
        entries = store.entries(after=last, count=PAGE)
        for entry in entries:
            last = entry.id or last
            one = polls.get(f"{entry.provider}:{entry.app}")
            if one and entry.kind is Kind.EXPIRED and order_of(last) > order_of(cursors[one.key]):
                one.add(entry)
        if not entries:
            break
    for key in polls:
        store.set_cursor(key, last)


@contextmanager
def _told(*polls: Poll) -> Iterator[None]:
    """Note what stops the polling of these apps, so that it does not stop that of others."""
    try:
        yield
    except (FeedbackProtocolError, PushError) as error:
        for one in polls:
            one.error = one.error or str(error)
