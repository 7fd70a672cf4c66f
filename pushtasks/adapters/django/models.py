"""An abstract model of a device: what to send to it, and whether that still makes sense.

A model of yours adds whose it is:

    class Phone(Device):
        owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)

and then registers devices, and pushes to any of them:

    Phone.objects.register(token, provider="apns", owner=user)
    Phone.objects.filter(owner__city="Lyon").push("Snow tomorrow")

The rest is done by feedback: dead tokens make a device inactive, replaced ones are replaced.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.core import checks
from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils import timezone

from pushtasks.adapters.django import pushing
from pushtasks.adapters.django.checks import check_model
from pushtasks.adapters.django.queryset import DeviceQuerySet
from pushtasks.adapters.django.tokens import tidy
from pushtasks.errors import InvalidPush
from pushtasks.masking import mask

if TYPE_CHECKING:
    from celery.result import AsyncResult

#: Characters. Apple's tokens have 64 today and 200 at the most, Google's about 160; with `app` and
#: `provider` it is as much as MySQL can hold apart.
TOKEN_LENGTH: Final = 512
APP_LENGTH: Final = 64
REASON_LENGTH: Final = 64


class Device(models.Model):
    """What a push needs to know of a device; a model of yours adds whose it is.

    Feedback keeps it up to date by UPDATE statements, so that `save` and its signals are not called
    then: connect to `pushtasks.adapters.django.signals` instead.
    """

    class Provider(models.TextChoices):
        """Who delivers to it."""

        APNS = "apns", "Apple"
        GCM = "gcm", "Google"

    class Environment(models.TextChoices):
        """Where Apple made the token: an app that was started from Xcode has one of the sandbox."""

        PRODUCTION = "production", "production"
        SANDBOX = "sandbox", "sandbox"

    provider = models.CharField(max_length=4, choices=Provider.choices)
    app = models.CharField(
        max_length=APP_LENGTH, default="default", help_text="The app in the settings."
    )
    token = models.CharField(
        max_length=TOKEN_LENGTH, help_text="Apple's device token, or Google's registration id."
    )
    environment = models.CharField(
        max_length=10,
        choices=Environment.choices,
        blank=True,
        default="",
        help_text="Apple only, and only if it is not the app's own.",
    )
    registered_at = models.DateTimeField(
        default=timezone.now, help_text="When the device last said that this is its token."
    )
    is_active = models.BooleanField(default=True, help_text="Whether pushes are sent to it.")
    inactive_reason = models.CharField(
        max_length=REASON_LENGTH,
        blank=True,
        default="",
        editable=False,
        help_text="Why the provider called the token dead, in its own words.",
    )

    objects: ClassVar[Any] = DeviceQuerySet.as_manager()

    class Meta:
        """To be inherited by the `Meta` of a model of yours, if it has one."""

        abstract = True
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["provider", "app", "token"], name="%(app_label)s_%(class)s_token"
            )
        ]
        default_permissions = ("add", "change", "delete", "view", "push")

    def __str__(self) -> str:
        """Name the device by the beginning of its token only."""
        return f"{self.provider}/{self.app} {self.masked_token}"

    @classmethod
    def check(cls, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return what is wrong with the model."""
        return [*super().check(**kwargs), *check_model(cls)]

    @property
    def masked_token(self) -> str:
        """The beginning of the token, as lists and logs may show it."""
        return mask(self.token)

    def clean(self) -> None:
        """Bring the token into the form in which feedback names it.

        Raises:
            ValidationError: It is none.
        """
        super().clean()
        try:
            self.token = tidy(self.provider, self.token)
        except InvalidPush as error:
            raise ValidationError(str(error)) from None

    def push(self, payload: Any, **options: Any) -> "AsyncResult[Any]":
        """Send a push to this device, by `send_apns` or `send_gcm`.

        Args:
            payload: A text, a payload of its provider, or one for each, `{"apns": …, "gcm": …}`.
            options: As of `send_apns` (all but `app` and `environment`) or `send_gcm`.

        Returns:
            The task's promised result.

        Raises:
            InvalidPush: It could not be sent, or the device is not active.
        """
        return pushing.call_for(self, payload, options).send()

    def push_on_commit(self, payload: Any, **options: Any) -> None:
        """Send a push to this device when the transaction is committed, and none if it is not.

        Args:
            payload: As of `push`.
            options: As of `push`.

        Raises:
            InvalidPush: Now: it could not be sent.
        """
        call = pushing.call_for(self, payload, options)
        # Where it is read, a replica perhaps, no transaction of this one's changes is under way.
        using = router.db_for_write(type(self), instance=self)
        transaction.on_commit(call.send, using=using)
