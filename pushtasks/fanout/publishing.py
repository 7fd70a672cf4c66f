"""Starting a fan-out, and going on with one whose publisher has stopped."""

import time
from collections.abc import Mapping
from typing import Any, Final

from celery import Celery

from pushtasks.config import current_settings
from pushtasks.errors import InvalidPush
from pushtasks.fanout.devices import checked, providers_of
from pushtasks.fanout.given import described_source, source_of
from pushtasks.fanout.holding import LEASE, Holding
from pushtasks.fanout.publisher import Publisher, Report
from pushtasks.fanout.records import START, Position
from pushtasks.fanout.sources import File, Source
from pushtasks.fanout.watching import existing, fanouts_of
from pushtasks.host import current_app
from pushtasks.results import APNS
from pushtasks.store.fanout_state import Fanout, Spec, State
from pushtasks.store.fanouts import Fanouts

CHUNK: Final = 1000
#: Seconds between two looks at whether a publisher lives.
_LOOK: Final = 0.1
#: Sources that count by the same lines.
_TEXTS: Final = {"file", "stream"}


def start(
    provider: str | None,
    devices: Any,
    payload: Any,
    *,
    app: str = "default",
    chunk: int = CHUNK,
    key: str | None = None,
    window: int | None = None,
    celery_app: Celery | None = None,
    progress: Report | None = None,
    **options: Any,
) -> Fanout:
    """Send to any number of devices: publish them all, in chunks, as fast as workers take them.

    Returns when the last chunk is in the broker; `wait` waits for the workers. What is wrong with
    one device is counted as `invalid` and told by `failures`; if reading the devices raises, what
    was read is sent, and the fan-out has the `error`. If this process is killed, `resume` goes on.

    Args:
        provider: `apns`, `gcm`, or `mixed` (or None), whose devices each begin with their provider.
        devices: Anything iterable, an open file, a path, `file(…)` or `redis_key(…)`; it is read
            once, as needed. A device is a token (or registration id), a pair of it and a dict of
            what is for this device alone (`payload`; at Apple whatever `send_apns_many` takes), or
            a dict of both with the token as `token`. Mixed: `("apns", token)`, `("gcm", id, {…})`,
            or a dict with `provider`.
        payload: As of `send_apns_many` or `send_gcm_many`; mixed, a text or `{"apns": …, "gcm":
            …}`.
        app: The app in the settings; mixed, of this name at both.
        chunk: Devices of one task, up to 1000.
        key: A name for this fan-out, so that starting it twice sends it once: the second call
            returns the first fan-out, and publishes nothing.
        window: Chunks that wait in the broker at the most; left out, 100, or 8 MiB of them.
        celery_app: Whose broker and Redis to use; left out, the current one.
        progress: Called with the fan-out a few times a second while it is published.
        options: As of `send_apns_many` (`topic`, `push_type`, `priority`, `expiration`,
            `collapse_id`, `environment`) or `send_gcm_many` (`dry_run`).

    Returns:
        The fan-out, as it stands when all is published.

    Raises:
        InvalidPush: None of the devices could be sent to; nothing was begun.
        InvalidSettings: There is no Redis to keep it in.
        PushError: Redis or the broker stayed away for a minute; `resume` goes on.
    """
    celery_app = celery_app or current_app()
    _check_window(window)
    source = source_of(devices)
    spec = checked(Spec(provider or "mixed", app, payload, options, chunk, source.describe(), key))
    _find_apps(spec, celery_app)
    fanouts = fanouts_of(celery_app)
    id_, is_new = fanouts.create(spec)
    if is_new:
        holding = Holding(fanouts, id_)
        holding.claim()
        fanout = existing(fanouts, id_)
        publisher = Publisher(celery_app, fanouts, fanout, window=window, report=progress)
        with holding:
            publisher.publish(source, START, holding)
    return existing(fanouts, id_)


def check(
    provider: str | None,
    payload: Any,
    *,
    app: str = "default",
    celery_app: Celery | None = None,
    **options: Any,
) -> None:
    """Check what all devices of a fan-out share, as `start` does, and begin nothing.

    Args:
        provider: As of `start`, and so are the others.
        payload: What is to be sent.
        app: The app in the settings.
        celery_app: Whose settings name the apps; left out, the current one.
        options: As of `send_apns_many` or `send_gcm_many`.

    Raises:
        InvalidPush: None of the devices could be sent to.
    """
    spec = checked(Spec(provider or "mixed", app, payload, options))
    _find_apps(spec, celery_app or current_app())


def resume(
    id_: str,
    devices: Any = None,
    *,
    force: bool = False,
    window: int | None = None,
    celery_app: Celery | None = None,
    progress: Report | None = None,
) -> Fanout:
    """Let a fan-out go on that is paused, or whose publisher has stopped before the end.

    If it was not published to the end and nobody is at it, it is published from here, after the
    last chunk that is known to be in the broker. A publisher that was killed counts as alive for
    up to 10 seconds.

    Args:
        id_: Of the fan-out.
        devices: The same devices, in the same order, where they cannot be read again by
            themselves, as a file's or a Redis key's can (but for a password that is not the one of
            `redis_url`, which is not kept): those that were published are passed over.
        force: Go on even though the file has changed since the fan-out began.
        window: As of `start`.
        celery_app: As of `start`.
        progress: As of `start`.

    Returns:
        The fan-out, as it stands when all is published; or at once if somebody publishes it.

    Raises:
        InvalidPush: There is no such fan-out, it was cancelled, or its devices cannot be read
            again.
        InvalidSettings: There is no Redis that it could be in.
        PushError: As of `start`.
    """
    _check_window(window)
    celery_app = celery_app or current_app()
    fanouts = fanouts_of(celery_app)
    fanout = existing(fanouts, id_)
    if fanout.state is State.CANCELLED:
        raise InvalidPush(f"fan-out {id_} was cancelled: start another")
    fanouts.set_state(id_, State.RUNNING)
    holding = Holding(fanouts, id_)
    if not fanout.source_ended and not fanout.is_over and _claimed(fanouts, id_, holding):
        with holding:
            fanout = existing(fanouts, id_)
            if not fanout.source_ended:  # or its publisher was just about to end
                redis_url = current_settings(celery_app).redis_url
                source, position = _rest(fanout, devices, redis_url, force=force)
                publisher = Publisher(celery_app, fanouts, fanout, window=window, report=progress)
                publisher.publish(source, position, holding)
    return existing(fanouts, id_)


def _claimed(fanouts: Fanouts, id_: str, holding: Holding) -> bool:
    """Become the publisher; False if there is one that gives signs of life."""
    before = existing(fanouts, id_)
    deadline = time.monotonic() + LEASE + 1
    while not holding.claim():
        now = existing(fanouts, id_)
        if now.source_ended or now.chunks_published > before.chunks_published:
            return False
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK)
    return True


def _check_window(window: int | None) -> None:
    if window is not None and window < 1:
        raise InvalidPush(f"window {window}: must be 1 chunk or more, or be left out")


def _rest(
    fanout: Fanout, devices: Any, redis_url: str | None, *, force: bool
) -> tuple[Source, Position]:
    """Return the source of a fan-out, and where in it to go on."""
    described, position = fanout.spec.source, fanout.position or START
    source = described_source(described, redis_url) if devices is None else source_of(devices)
    if source is None:
        raise InvalidPush(
            f"fan-out {fanout.id}: its devices cannot be read again by themselves; give the same"
            " ones once more: resume(id, devices), or --tokens"
        )
    given = source.describe()
    if {given["kind"], described["kind"]} <= _TEXTS and given["kind"] != described["kind"]:
        return source, {**position, "place": None}
    if given["kind"] != described["kind"]:
        raise InvalidPush(
            f"fan-out {fanout.id} began with devices from {_KINDS[described['kind']]}, of which"
            f" {position['line']} were read: give these once more"
        )
    if isinstance(source, File) and not force and not source.is_as_described(described):
        raise InvalidPush(
            f"{described['path']!r} has changed since fan-out {fanout.id} began, so that devices"
            " could be left out or doubled: start another, or go on all the same with force"
            " (--force)"
        )
    return source, position


_KINDS: Final[Mapping[str, str]] = {
    "file": "a file",
    "stream": "an open file",
    "items": "an iterable",
    "redis": "a key in Redis",
}


def _find_apps(spec: Spec, celery_app: Celery) -> None:
    settings = current_settings(celery_app)
    if not settings.configured:  # a web process may know nothing of the workers' apps
        return
    for provider in providers_of(spec.provider):
        find: Any = settings.apns_app if provider == APNS else settings.gcm_app
        find(spec.app)
