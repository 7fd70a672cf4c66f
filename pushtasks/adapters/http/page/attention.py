"""What an operator should look at, the gravest first: a line each, with the way out. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from pushtasks.adapters.http.page.figures import Moment, counted, number, span
from pushtasks.adapters.http.page.plot import totals
from pushtasks.adapters.http.page.snapshot import App, Credential, Snapshot, Stream
from pushtasks.results import APNS
from pushtasks.store.fanout_state import Fanout, State
from pushtasks.store.health import Suspicion
from pushtasks.store.keys import BREAKER_ALARM_LEAST

#: Before the end of a certificate.
WARN_BEFORE: Final = timedelta(days=30)
#: For how long a fan-out that is over and went wrong is still brought up.
REMEMBERED: Final = timedelta(days=1)
#: For how long a fan-out may be without a publisher when it begins.
BEGINNING: Final = timedelta(seconds=15)
#: What takes news of devices, as the settings call it.
CONSUMERS: Final[Mapping[str, str]] = {
    "pushtasks.handler": "feedback.handler",
    "pushtasks.handler_task": "feedback.handler_task",
    "pushtasks.signals": "Signal receivers",
}


class Level(StrEnum):
    """How grave a thing is."""

    #: Pushes or news are lost or refused now.
    WRONG = "wrong"
    #: They will be, or may be.
    WARNING = "warning"


class Concern(NamedTuple):
    """One thing to look at."""

    level: Level
    #: What it is about: an app, a fan-out.
    subject: str
    text: str
    #: Id of the part of the page that tells more; empty if none does.
    target: str = ""


def concerns(snapshot: Snapshot) -> tuple[Concern, ...]:
    """Return everything that needs attention."""
    found = [
        *(Concern(Level.WRONG, "", line) for line in snapshot.troubles),
        *(concern for app in snapshot.apps for concern in _of_app(app, snapshot)),
        *(concern for fanout in snapshot.fanouts for concern in _of_fanout(fanout, snapshot)),
        *(_of_stream(snapshot.stream) if snapshot.stream else ()),
        *(_of_consumer(name, count) for name, count in snapshot.failing.items()),
    ]
    return tuple(sorted(found, key=lambda concern: concern.level is not Level.WRONG))


def held_back(app: App, snapshot: Snapshot) -> Suspicion | None:
    """Return why dead tokens of an app are not reported as dead at present, if they are not."""
    for suspicion in app.health.suspicions if app.health else ():
        if suspicion.suspicious >= BREAKER_ALARM_LEAST and suspicion.is_over(snapshot.breaker):
            return suspicion
    return None


def expires_soon(credential: Credential, now: datetime) -> bool:
    """Return whether a certificate is to be replaced."""
    return credential.expires is not None and credential.expires - now < WARN_BEFORE


def _of_app(app: App, snapshot: Snapshot) -> Iterable[Concern]:
    yield from _of_credential(app, snapshot)
    suspicion = held_back(app, snapshot)
    if suspicion is not None:
        within = f" ({suspicion.environment})" if suspicion.environment else ""
        yield Concern(
            Level.WRONG,
            app.label,
            f"{number(suspicion.suspicious)} of {counted(suspicion.judged, 'push', 'pushes')}"
            f"{within} were lately rejected as if environment, topic or certificate were wrong."
            " Until that is set right no token is reported as dead for it.",
            "providers",
        )
    if app.health is None:
        return
    if app.health.pause:
        yield Concern(
            Level.WARNING,
            app.label,
            f"Nothing is sent for {span(app.health.pause)} more, as {_company(app)} has asked.",
            "providers",
        )
    accepted, rejected, unsent = totals(app.health.minutes)
    failed = rejected + unsent
    if failed and not accepted and suspicion is None:
        yield Concern(
            Level.WRONG,
            app.label,
            f"Nothing was accepted in the last hour, and {counted(failed, 'push', 'pushes')}"
            " failed.",
            "apps",
        )


def _of_credential(app: App, snapshot: Snapshot) -> Iterable[Concern]:
    if app.setup is None:
        return
    found = app.setup.credential
    if found.problem:
        yield Concern(Level.WRONG, app.label, found.problem, "providers")
    elif found.expires and expires_soon(found, snapshot.now):
        expires = Moment.of(found.expires, snapshot.now)
        yield Concern(
            Level.WARNING,
            app.label,
            f"{found.kind} expires {expires.distance}, on {expires.text}: make a new one in Apple's"
            " developer account, or change to a key, which does not expire.",
            "providers",
        )


def _of_fanout(fanout: Fanout, snapshot: Snapshot) -> Iterable[Concern]:
    over = fanout.finished_at
    if over is not None and snapshot.now - over > REMEMBERED:
        return
    subject, target = f"Fan-out {fanout.id}", f"fanout-{fanout.id}"
    if fanout.error:
        yield Concern(Level.WRONG, subject, fanout.error, target)
    if is_left(fanout, snapshot.now):
        yield Concern(
            Level.WRONG,
            subject,
            f"Its publisher has stopped before the end: go on with  pushtasks fanout resume"
            f" {fanout.id}",
            target,
        )


def is_left(fanout: Fanout, now: datetime) -> bool:
    """Return whether nobody publishes what is still to come of a fan-out."""
    return (
        fanout.state is State.RUNNING
        and not fanout.source_ended
        and not fanout.has_publisher
        and now - fanout.created_at > BEGINNING
    )


def _of_stream(stream: Stream) -> Iterable[Concern]:
    if stream.lost:
        yield Concern(
            Level.WRONG,
            "Feedback stream",
            f"{counted(stream.lost, 'entry', 'entries')} had to go before everybody had read them:"
            " read it, raise feedback.length, or XGROUP DESTROY a group that is gone.",
        )


def _of_consumer(name: str, failures: int) -> Concern:
    return Concern(
        Level.WRONG,
        CONSUMERS[name],
        f"Failed {counted(failures, 'time')} in a row to take news of devices, which are kept for"
        " it: the log of the workers says why.",
    )


def _company(app: App) -> str:
    return "Apple" if app.provider == APNS else "Google"
