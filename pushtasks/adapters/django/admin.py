"""The admin of device models: tokens masked, and an action that sends a push.

    @admin.register(Phone)
    class PhoneAdmin(DeviceAdmin):
        list_display = ("owner", *DeviceAdmin.list_display)

The action asks what to send; it is for those who have the model's permission `push`.
"""

import logging
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from pushtasks.adapters.django import pushing
from pushtasks.adapters.django.forms import PushForm
from pushtasks.errors import PushError
from pushtasks.fanout import Fanout

logger = logging.getLogger(__name__)

#: Devices that the action sends to at the most, so that no page waits for workers.
LIMIT: Final = 10_000
#: The form stays as it is, so that what it has begun goes on where it was, and not once more.
NOT_SENT: Final = (
    "The push was not sent, or not to all: send it again from here, nobody gets it twice"
)
#: What stays as it is once there is a device.
FIXED: Final = ("masked_token", "provider", "app", "inactive_reason")


class DeviceAdmin(admin.ModelAdmin):
    """For a model of devices; whoever may send needs the model's permission `push`."""

    list_display: ClassVar[Any] = (
        "masked_token",
        "provider",
        "app",
        "registered_at",
        "is_active",
        "inactive_reason",
    )
    list_filter: ClassVar[Any] = ("is_active", "provider", "app", "environment")
    #: By its beginning, as lists and logs show it.
    search_fields: ClassVar[Any] = ("^token",)
    actions: ClassVar[Any] = ("send_push",)
    push_template = "pushtasks/push.html"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return the fields, what names the device before all others."""
        return sorted(super().get_fields(request, obj), key=lambda field: field != "masked_token")

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what is not shown: the token in full, once there is a device."""
        exclude = super().get_exclude(request, obj) or []
        return [*exclude] if obj is None else [*exclude, "token"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what cannot be changed: a device has another token only if it says so itself."""
        readonly = super().get_readonly_fields(request, obj)
        return [*readonly] if obj is None else [*readonly, *FIXED]

    @admin.display(description="token", ordering="token")
    def masked_token(self, device: Any) -> str:
        """Return the beginning of a device's token."""
        return str(device.masked_token)

    def has_push_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody may send pushes to these devices."""
        codename = get_permission_codename("push", self.opts)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{codename}"))

    @admin.action(description="Send a push…", permissions=["push"])
    def send_push(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        """Ask what to send, and send it."""
        count = queryset.filter(is_active=True).count()
        if not 0 < count <= LIMIT:
            self.message_user(request, _refusal(count), messages.WARNING)
            return HttpResponseRedirect(request.get_full_path())
        form = PushForm(request.POST if "payload" in request.POST else None, devices=queryset)
        if form.is_valid() and self._has_sent(request, form):
            return HttpResponseRedirect(request.get_full_path())
        return self._ask(request, form, count)

    def _ask(self, request: HttpRequest, form: PushForm, count: int) -> HttpResponse:
        return TemplateResponse(
            request,
            self.push_template,
            {
                **self.admin_site.each_context(request),
                "title": "Send a push",
                "opts": self.opts,
                "form": form,
                "media": self.media,
                "count": count,
                "selected": request.POST.getlist("_selected_action"),
                "select_across": request.POST.get("select_across", "0"),
            },
        )

    def _has_sent(self, request: HttpRequest, form: PushForm) -> bool:
        try:
            fanouts = form.send()
        except PushError as error:
            self.message_user(request, f"{NOT_SENT}: {error}", messages.ERROR)
            return False
        sent = _described(fanouts)
        logger.info("%s sends a push to %s", request.user.get_username(), sent)
        self.message_user(request, f"A push is on its way to {sent}.", messages.SUCCESS)
        return True


def _described(fanouts: Iterable[Fanout]) -> str:
    return ", ".join(f"{pushing.told(one)} (fan-out {one.id})" for one in fanouts)


def _refusal(count: int) -> str:
    if count == 0:
        return "None of these devices is active, so no push can be sent to them."
    return (
        f"{count:,} devices are more than the {LIMIT:,} of a page: send to them by `manage.py push`"
    )
