"""Devices by the number: registering them, and pushing to those that a filter leaves."""

import logging
from functools import partial
from typing import Any

from django.db import models, router, transaction
from django.utils import timezone

from pushtasks import feedback
from pushtasks.adapters.django import pushing
from pushtasks.adapters.django.tokens import tidy
from pushtasks.config import current_settings
from pushtasks.errors import InvalidSettings, PushError
from pushtasks.fanout import Fanout
from pushtasks.host import current_app
from pushtasks.results import APNS, Provider

logger = logging.getLogger(__name__)


class DeviceQuerySet(models.QuerySet[Any]):
    """Devices that a push can be sent to."""

    def active(self) -> Any:
        """Return those whose tokens are not known to be dead."""
        return self.filter(is_active=True)

    def register(
        self,
        token: str,
        *,
        provider: Provider,
        app: str = "default",
        environment: str = "",
        **fields: Any,
    ) -> Any:
        """Note that a device has told its token: call it whenever the app has started.

        A token that is known already gets these fields, and counts as alive from now on.

        Args:
            token: As the device gave it.
            provider: `apns` or `gcm`.
            app: The app in the settings.
            environment: At Apple, `production` or `sandbox`, if it is not the app's own.
            fields: Others of your model, such as whose device it is.

        Returns:
            The device, saved.

        Raises:
            InvalidPush: It is no token.
            TypeError: It is called on the manager of a relation.
        """
        if "instance" in self._hints:
            raise TypeError(
                "register: call it on the model's own manager, and give the owner as a field; a"
                " token may have had another owner before"
            )
        token = tidy(provider, token)
        alive = {"registered_at": timezone.now(), "is_active": True, "inactive_reason": ""}
        device, _ = self.update_or_create(
            provider=provider,
            app=app,
            token=token,
            defaults={"environment": environment, **alive, **fields},
        )
        forget = partial(_forget_death, provider, app, token)
        transaction.on_commit(forget, using=device._state.db)
        return device

    def push(self, payload: Any, **options: Any) -> tuple[Fanout, ...]:
        """Send a push to those that are active, of any number, in constant memory.

        Returns when all is with the broker, which with more than 50,000 devices takes as long as
        the workers do: then call it in a task of yours, or by `manage.py push`.

        Args:
            payload: A text, a payload of the only provider among them, or one for each,
                `{"apns": …, "gcm": …}`.
            options: As of `pushtasks.fanout.start`; `app` and `environment` are each device's own.

        Returns:
            The fan-outs, one for each provider, app and environment; none without active devices.
            `pushtasks.fanout.wait(one.id)` waits for the workers.

        Raises:
            InvalidPush: To some of them it could not be sent; nothing was begun.
            InvalidSettings: There is no Redis to keep fan-outs in.
            PushError: Redis or the broker stayed away; `resume_push` goes on.
        """
        return pushing.push(self, payload, options)

    def push_on_commit(self, payload: Any, **options: Any) -> None:
        """Do `push` when the transaction is committed, and not at all if it is not.

        Args:
            payload: As of `push`.
            options: As of `push`.

        Raises:
            InvalidPush: Now: to some of them it could not be sent.
        """
        pushing.parts_of(self, payload, options)
        using = self._db or router.db_for_write(self.model, **self._hints)
        transaction.on_commit(partial(self.push, payload, **options), using=using)

    def resume_push(self, fanout_id: str, **options: Any) -> Fanout:
        """Go on with a fan-out of these devices whose publisher was stopped.

        Args:
            fanout_id: Of the fan-out.
            options: As of `pushtasks.fanout.resume`.

        Raises:
            InvalidPush: There is no such fan-out, or it was cancelled.
            PushError: As of `push`.
        """
        return pushing.resume(self, fanout_id, **options)


def _forget_death(provider: Provider, app: str, token: str) -> None:
    """Let workers send again to what they know to be dead (`skip_dead`); never raises."""
    try:
        celery_app = current_app()
        settings = current_settings(celery_app)
        apps = settings.apns if provider == APNS else settings.gcm
        if app not in apps or apps[app].skip_dead:  # a web process may not know the apps
            feedback.forget(provider, app, [token], celery_app=celery_app)
    except InvalidSettings:
        return  # without Redis nothing is remembered; and of wrong settings the checks tell
    except PushError as error:
        logger.warning("A token that was registered may still be left out by skip_dead: %s", error)
