"""The base of all our tasks: arguments checked where they are called, masked wherever shown.

Celery spells a task's arguments out in its messages, and from there in logs and in Flower. A task
that is called through its object sends a masked spelling along; one that is called by name alone
(`app.send_task`) does not, so the worker replaces what it was sent.
"""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from numbers import Number
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from celery import Task
from celery.exceptions import Reject
from celery.worker.request import Request

from pushtasks.config import current_settings
from pushtasks.errors import PushError, PushMaybeSent, PushNotSent
from pushtasks.feedback.ledger import abandoned
from pushtasks.feedback.telling import tell
from pushtasks.masking import mask
from pushtasks.sending.arguments import Arguments, bind, masked
from pushtasks.sending.progress import Progress

if TYPE_CHECKING:
    from celery.result import AsyncResult

    _Task = Task[Any, Any]
else:
    _Task = Task  # not a generic class when it runs

#: Seconds; a task that waits longer goes back to the broker in between. Redis hands out again what
#: was not done in its visibility timeout, of which this share is used.
VISIBILITY_SHARE: Final = 0.5
DEFAULT_VISIBILITY: Final = 600.0


class MaskedRequest(Request):
    """A received task whose arguments are never shown in full."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._argsrepr, self._kwargsrepr = self._masked()
        self.request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)

    def info(self, safe: bool = True) -> Any:  # noqa: ARG002, FBT001, FBT002
        """Return what `celery inspect scheduled` shows, and so Flower: never the arguments in full.

        Args:
            safe: Celery's own question whether to hide them, which is not asked here.
        """
        return super().info(safe=True)

    def _masked(self) -> tuple[str, str]:
        try:
            if not self.args:  # as our own calls are
                return "()", masked(self.kwargs)
            return "()", masked(bind(self.name, self.task.run, self.args, self.kwargs))
        except Exception:  # noqa: BLE001, the task will say so itself; here it would end the worker
            return "(…)", "{…}"


class PushTask(_Task):
    """What our tasks have in common."""

    abstract = True
    Request = f"{MaskedRequest.__module__}:{MaskedRequest.__qualname__}"
    #: How often is up to the settings of the app that the push belongs to.
    max_retries = None
    acks_late = True
    reject_on_worker_lost = True
    serializer = "json"
    #: Where calls go that nothing else routes: neither the caller nor the Celery app's task_routes.
    home_queue: ClassVar[str] = "push"
    #: Checks and completes the arguments; set by each task.
    check: ClassVar[Callable[..., Arguments]]
    #: `apns` or `gcm`.
    provider: ClassVar[str]

    def apply_async(  # type: ignore[override]
        self, args: Any = None, kwargs: Any = None, **options: Any
    ) -> "AsyncResult[Any]":
        """Check the arguments, and send the task.

        Raises:
            InvalidPush: They could not be sent; nothing was handed to the broker.
        """
        arguments = self.checked(*(args or ()), **(kwargs or {}))
        options.update(argsrepr="()", kwargsrepr=masked(arguments))
        if not self._is_routed(options):
            options["queue"] = self.home_queue
        return super().apply_async((), arguments, **options)

    def checked(self, *args: Any, **kwargs: Any) -> Arguments:
        """Return the arguments by name, checked and complete.

        Raises:
            InvalidPush: They could not be sent.
        """
        arguments = bind(self.name, self.run, args, kwargs)
        arguments = type(self).check(arguments, now=datetime.now(UTC))
        settings = current_settings(self.app)
        if settings.configured:  # a web process may know nothing of the workers' apps
            find = settings.apns_app if self.provider == "apns" else settings.gcm_app
            find(arguments["app"])
        return arguments

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Refuse arguments that the task does not know, in our own words.

        Raises:
            InvalidPush: It was called by name, and one is missing, unknown or given twice.
        """
        super().before_start(task_id, args, kwargs)
        bind(self.name, self.run, args, kwargs)

    def on_failure(
        self, exc: Exception, task_id: str, args: Any, kwargs: dict[str, Any], einfo: Any
    ) -> None:
        """Count devices as waiting no more, if their task has failed before it could send."""
        super().on_failure(exc, task_id, args, kwargs, einfo)
        if isinstance(exc, PushNotSent | PushMaybeSent):  # counted already
            return
        tally = abandoned(self.provider, kwargs) if "_progress" in kwargs else None
        if tally:
            tell(self.app, tally)

    def _is_routed(self, options: dict[str, Any]) -> bool:
        if any(options.get(name) for name in ("queue", "exchange", "routing_key")):
            return True
        return bool(self.app.amqp.router.lookup_route(self.name))

    def again(
        self, arguments: Arguments, progress: Progress, pause: float, error: PushError
    ) -> NoReturn:
        """Have the task tried again after `pause` seconds; does not return.

        The pause may be longer than the broker keeps a task from being handed out twice: then the
        task comes back earlier, and `wait` sends it away again.

        Args:
            arguments: Those of the next try.
            progress: What the next try goes on with; its time is set here.
            pause: Seconds, as `retries.pause_before` gives them.
            error: What Celery shows as the reason.
        """
        progress.tries += 1
        progress.not_before = time.time() + pause
        self.send_back(arguments, progress, pause, error)

    def wait(self, arguments: Arguments, progress: Progress) -> None:
        """Send the task away again if it has come before its time."""
        left = progress.wait()
        if left > 0 and self.comes_again():
            reason = PushError(f"the provider asked to wait {math.ceil(left)} s more")
            self.send_back(arguments, progress, left, reason)

    def send_back(
        self, arguments: Arguments, progress: Progress, pause: float, error: PushError
    ) -> NoReturn:
        """Have the broker hand the task out again in `pause` seconds, or earlier; does not return.

        Args:
            arguments: Of the task.
            progress: What it goes on with.
            pause: Seconds.
            error: What Celery shows as the reason.
        """
        kwargs = {**arguments, "_progress": progress.to_argument()}
        countdown = min(pause, self._longest_pause())
        try:
            raise self.retry(args=(), kwargs=kwargs, countdown=countdown, exc=error)
        except Reject as rejected:  # the broker did not take it: this message must not be lost too
            raise Reject(rejected.args[0], requeue=True) from None

    def comes_again(self) -> bool:
        """Return whether a task that is sent back comes again, after its pause."""
        return not (self.request.is_eager or self.request.called_directly)

    def _longest_pause(self) -> float:
        options = self.app.conf.broker_transport_options or {}
        return float(options.get("visibility_timeout", DEFAULT_VISIBILITY)) * VISIBILITY_SHARE


class MaskedDict(dict[str, Any]):
    """A result whose repr masks device tokens, at any depth.

    Celery spells out every dict for its logs and events, whatever its repr is; but what is a
    Number it prints as it prints itself.
    """

    def __repr__(self) -> str:
        """Spell the dict out with masked device tokens."""
        return repr(_masked(self))


Number.register(MaskedDict)

_MASKED_KEYS: Final = frozenset({"token", "canonical_id", "failed_registration_ids"})


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _masked_text(item) if key in _MASKED_KEYS else _masked(item)
            for key, item in value.items()
        }
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _masked_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked_text(item) for item in value]
    return mask(value) if isinstance(value, str) else _masked(value)
