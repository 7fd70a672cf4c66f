"""The task that polls feedback: once for an occasion, tried again if no app could be polled."""

import logging
import uuid
from typing import Any, Final, NoReturn

from pushtasks.config import current_settings
from pushtasks.errors import InvalidPush, PollFailed
from pushtasks.feedback.polling import Poll, chosen_apps, needed_store, poll
from pushtasks.results import VERSION
from pushtasks.sending.arguments import Arguments, bind
from pushtasks.sending.task_base import MaskedDict, PushTask
from pushtasks.store import StoreUnavailable

log = logging.getLogger(__name__)

#: Seconds before each further try. Together longer than the lease of a poller that was killed.
PAUSES: Final = (60.0, 120.0, 240.0)
#: The name under which a schedule's call is noted, so that a second beat's finds it.
OCCASION: Final = "poll:occasion"


class PollTask(PushTask):
    """What `poll_feedback` is made of."""

    abstract = True
    home_queue = "push.feedback"

    def checked(self, *args: Any, **kwargs: Any) -> Arguments:
        """Return the arguments by name, checked.

        Raises:
            InvalidPush: There is no such app.
        """
        arguments = bind(self.name, self.run, args, kwargs)
        name = arguments.get("app")
        if name is not None and not isinstance(name, str):
            raise InvalidPush(
                f"app: {name!r} is no name; give the name of an app, or leave it out to poll all"
            )
        seconds = arguments.get("_once_within")
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            raise InvalidPush("_once_within is for beat's schedule: leave it out")
        settings = current_settings(self.app)
        if settings.configured:  # a web process may know nothing of the workers' apps
            chosen_apps(settings, name)
        return arguments

    def poll(self, name: str | None, once_within: float | None) -> dict[str, Any]:
        """Poll, and return the task's result.

        Args:
            name: The apps of this name; None: all.
            once_within: Of a schedule's call: seconds within which another one is the same
                occasion; None: this is nobody's schedule.
        """
        self.checked(name)
        try:
            if once_within is not None and not self._is_first(name, once_within):
                log.info("another beat has had feedback polled already: nothing to do")
                return self._result([])
            polls = poll(self.app, name)
        except StoreUnavailable as error:
            self._again(PollFailed(str(error)))
        errors = [f"{one.provider} app {one.app!r}: {one.error}" for one in polls if one.error]
        for line in errors:
            log.warning("feedback of %s", line)
        if polls and len(errors) == len(polls):
            self._again(PollFailed("; ".join(errors)))
        return self._result(polls)

    def _is_first(self, name: str | None, seconds: float) -> bool:
        """Return whether no other task was called on this occasion; this one may come again."""
        owner = self.request.id or str(uuid.uuid4())
        occasion = OCCASION if name is None else f"{OCCASION}:{name}"
        return needed_store(self.app).claim(occasion, owner, seconds)

    def _again(self, error: PollFailed) -> NoReturn:
        """Have the task tried again in a while; after the last time it has failed."""
        if self.request.retries >= len(PAUSES):
            raise error
        pause = min(PAUSES[self.request.retries], self._longest_pause())
        raise self.retry(countdown=pause, exc=error)

    def _result(self, polls: list[Poll]) -> dict[str, Any]:
        result = {"version": VERSION, "apps": [one.to_dict() for one in polls]}
        request = self.request
        return result if request.called_directly or request.is_eager else PollResult(result)


class PollResult(MaskedDict):
    """A result that logs and events show without its devices."""

    def __repr__(self) -> str:
        """Spell out what is found of each app, but for the devices."""
        apps = [{**app, "expired": f"<{len(app['expired'])} devices>"} for app in self["apps"]]
        return repr({**self, "apps": apps})
