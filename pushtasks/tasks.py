"""The tasks: plain arguments in, a plain dict out; in between a try, and perhaps another later.

Their names, `pushtasks.send_apns` and so on, stay as they are for ever. Each checks its arguments
where it is called (`apply_async`, and so `.delay`) and again in the worker (`attempts`).
"""

from typing import Any, Final

from pushtasks import edges
from pushtasks.chunks.mending import MendTask
from pushtasks.chunks.sending import send_chunk as try_chunk
from pushtasks.chunks.task import ChunkTask
from pushtasks.feedback.handover_task import HandoverTask
from pushtasks.feedback.poll_task import PollTask
from pushtasks.host import host_task
from pushtasks.results import APNS, GCM
from pushtasks.sending import arguments as checks
from pushtasks.sending import attempts
from pushtasks.sending.task_base import PushTask

#: Where long lists wait, so that single pushes do not stand behind them.
BULK_QUEUE: Final = "push.bulk"


@host_task(
    name="pushtasks.send_apns", base=PushTask, bind=True, provider=APNS, check=checks.check_apns
)
def send_apns(
    self: PushTask,
    token: str,
    payload: Any,
    *,
    app: str = "default",
    topic: str | None = None,
    push_type: str | None = None,
    priority: int | None = None,
    expiration: Any = None,
    collapse_id: str | None = None,
    apns_id: str | None = None,
    environment: str | None = None,
    _progress: Any = None,
) -> dict[str, Any]:
    """Send one notification to one device at Apple.

    Args:
        token: The device token, hexadecimal text.
        payload: The payload as a dict, `aps` beside custom keys; or a text to show, short for
            `{"aps": {"alert": …}}`.
        app: The app in the settings.
        topic: Bundle id, instead of the app's own; the push type's suffix is added.
        push_type: One of Apple's; left out, it follows from the payload.
        priority: 10, 5 or 1.
        expiration: Seconds from now (0: try once, store nothing), or an aware `datetime`.
        collapse_id: At most 64 bytes; a newer notification with the same replaces the older.
        apns_id: A UUID; left out, the task's id, which stays the same over all tries.
        environment: `production` or `sandbox`, instead of the app's own.

    Returns:
        What became of it: see the README, "Results".

    Raises:
        InvalidPush: At the call: it could not be sent.
        InvalidSettings: In the worker: the app's settings or keys cannot be used.
        PushNotSent: In the worker, after all tries: the provider has not taken it.
        PushMaybeSent: In the worker, after all tries: its answer was lost.
    """
    return attempts.to_apns_device(self, attempts.named(locals()))


@host_task(
    name="pushtasks.send_apns_many",
    base=PushTask,
    bind=True,
    provider=APNS,
    check=checks.check_apns_many,
    home_queue=BULK_QUEUE,
)
def send_apns_many(
    self: PushTask,
    tokens: list[Any],
    payload: Any,
    *,
    app: str = "default",
    topic: str | None = None,
    push_type: str | None = None,
    priority: int | None = None,
    expiration: Any = None,
    collapse_id: str | None = None,
    environment: str | None = None,
    _progress: Any = None,
) -> dict[str, Any]:
    """Send a notification to up to 1000 devices at Apple; only those that need it are tried again.

    Args:
        tokens: Device tokens; or `[token, {overrides}]` pairs, which say for one device what
            `payload`, `topic`, `push_type`, `priority`, `expiration`, `collapse_id` or `apns_id`
            is instead; and perhaps an `identifier`, by which results, news and logs name it.
        payload: As of `send_apns`, and so are the other arguments.
        app: The app in the settings.
        topic: Bundle id, instead of the app's own.
        push_type: One of Apple's.
        priority: 10, 5 or 1.
        expiration: Seconds from now, or an aware `datetime`.
        collapse_id: At most 64 bytes.
        environment: `production` or `sandbox`, instead of the app's own.

    Returns:
        Counts, and a dict of each device that was not simply accepted.

    Raises:
        InvalidPush: At the call: what the devices share could not be sent.
        InvalidSettings: In the worker: the app's settings or keys cannot be used.
    """
    return attempts.to_apns_devices(self, attempts.named(locals()))


def _send_gcm(
    self: PushTask,
    registration_ids: Any,
    payload: Any,
    *,
    app: str = "default",
    dry_run: bool = False,
    _progress: Any = None,
) -> dict[str, Any]:
    """Send one message to one target at Google, or to each of a list.

    Args:
        registration_ids: A registration id, or `{"topic": …}`, `{"condition": …}`, `{"fid": …}`;
            or a list of up to 10,000 of them.
        payload: The message without its target, as a dict of FCM v1 fields or of legacy GCM fields;
            or a text to show, short for `{"notification": {"body": …}}`.
        app: The app in the settings.
        dry_run: Let Google check the message and not deliver it.

    Returns:
        Of one target what became of it; of a list counts, and a dict of each in the same order.

    Raises:
        InvalidPush: At the call: it could not be sent.
        InvalidSettings: In the worker: the app's settings or credentials cannot be used.
        PushNotSent: In the worker, after all tries, one target only: Google has not taken it.
        PushMaybeSent: In the worker, after all tries, one target only: its answer was lost.
    """
    return attempts.to_fcm(self, attempts.named(locals()))


_gcm_options: Final[dict[str, Any]] = {
    "base": PushTask,
    "bind": True,
    "provider": GCM,
    "check": checks.check_gcm,
}
send_gcm = host_task(name="pushtasks.send_gcm", **_gcm_options)(_send_gcm)
#: The same by its younger name.
send_fcm = host_task(name="pushtasks.send_fcm", **_gcm_options)(_send_gcm)


@host_task(
    name="pushtasks.send_gcm_many",
    base=PushTask,
    bind=True,
    provider=GCM,
    check=checks.check_gcm_many,
    home_queue=BULK_QUEUE,
)
def send_gcm_many(
    self: PushTask,
    registration_ids: list[Any],
    payload: Any,
    *,
    app: str = "default",
    dry_run: bool = False,
    _progress: Any = None,
) -> dict[str, Any]:
    """Send a message to any number of targets at Google; only what needs it is tried again.

    Args:
        registration_ids: A list of what `send_gcm` takes.
        payload: As of `send_gcm`.
        app: The app in the settings.
        dry_run: Let Google check the messages and not deliver them.

    Returns:
        Counts, and a dict of each target that was not simply accepted.

    Raises:
        InvalidPush: At the call: what the targets share could not be sent.
        InvalidSettings: In the worker: the app's settings or credentials cannot be used.
    """
    return attempts.to_fcm_many(self, attempts.named(locals()))


@host_task(
    name="pushtasks.send_chunk",
    base=ChunkTask,
    bind=True,
    check=checks.check_chunk,
    home_queue=BULK_QUEUE,
)
def send_chunk(
    self: ChunkTask,
    fanout: str,
    chunk: int,
    *,
    _progress: Any = None,
) -> dict[str, int] | None:
    """Send to the devices of a chunk of a fan-out; called by what publishes the fan-out.

    Args:
        fanout: Its id.
        chunk: Number of the chunk, counted from 0; its devices are kept with the fan-out.

    Returns:
        For logs, counts of this try; what becomes of the devices is kept with the fan-out.

    Raises:
        InvalidPush: At the call: this is no chunk. In the worker: it can be sent to none.
        InvalidSettings: In the worker: the app's settings or keys cannot be used.
    """
    return try_chunk(self, attempts.named(locals()))


@host_task(name="pushtasks.poll_feedback", base=PollTask, bind=True)
def poll_feedback(
    self: PollTask, app: str | None = None, *, _once_within: float | None = None
) -> dict[str, Any]:
    """Find out which devices have gone since the last poll; beat calls it every day.

    Apps with a feedback service (protocol `binary`) are asked there, which empties Apple's list:
    each record is in the feedback stream before the next are read. Of the other apps the answers to
    pushes have told; what they told since the last poll is gathered.

    Args:
        app: The apps of this name, at Apple and at Google; left out, all.

    Returns:
        `{"version": 1, "apps": [{"provider", "app", "source", "found", "expired", "error"}]}`;
        `expired` names the first 1000 devices, and the feedback stream has all of them.

    Raises:
        InvalidPush: At the call: there is no such app.
        InvalidSettings: In the worker: the settings cannot be used, or there is no Redis.
        PollFailed: In the worker, after all tries: no app could be polled.
    """
    return self.poll(app, _once_within)


@host_task(name="pushtasks.deliver_feedback", base=HandoverTask, bind=True)
def deliver_feedback(self: HandoverTask, consumer: str) -> None:
    """Hand what is new in the feedback stream to a consumer; called by workers that have news.

    Args:
        consumer: `pushtasks.handler`, `pushtasks.handler_task` or `pushtasks.signals`.

    Raises:
        InvalidPush: At the call: there is no such consumer.
        InvalidSettings: In the worker: the settings cannot be used.
    """
    self.deliver(consumer)


@host_task(name="pushtasks.mend_fanouts", base=MendTask, bind=True)
def mend_fanouts(self: MendTask) -> None:
    """Publish chunks again that the broker has lost; beat calls it every minute."""
    self.mend()


edges.connect()
