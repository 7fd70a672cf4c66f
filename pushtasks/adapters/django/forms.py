"""The form that asks what to send."""

import hashlib
import json
import uuid
from typing import Any, Final

from django import forms

from pushtasks.adapters.django import pushing
from pushtasks.errors import InvalidPush
from pushtasks.fanout import Fanout

HELP: Final = (
    "A text; or the payload as JSON, such as"
    ' {"aps": {"alert": "Hello", "badge": 1}} for Apple,'
    ' {"notification": {"title": "Hello"}} for Google,'
    ' or {"apns": {…}, "gcm": {…}} for devices of both.'
)
#: As wide as the admin's own fields of text.
LOOK: Final = {"rows": 4, "class": "vLargeTextField"}


class PushForm(forms.Form):
    """What to send to the devices of a queryset."""

    payload = forms.CharField(widget=forms.Textarea(attrs=LOOK), help_text=HELP)
    #: So that a form that is sent twice sends one push.
    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def __init__(self, *args: Any, devices: Any, **kwargs: Any) -> None:
        """Take a queryset of devices beside the arguments of any form."""
        super().__init__(*args, **kwargs)
        self._devices = devices

    def clean_payload(self) -> Any:
        """Return the payload that these devices can be sent.

        Raises:
            ValidationError: It is none.
        """
        payload = parsed(self.cleaned_data["payload"])
        try:
            pushing.parts_of(self._devices, payload, {})
        except InvalidPush as error:
            raise forms.ValidationError(str(error)) from None
        return payload

    def send(self) -> tuple[Fanout, ...]:
        """Send to the devices.

        Raises:
            PushError: As `DeviceQuerySet.push`.
        """
        payload = self.cleaned_data["payload"]
        key = f"admin.{self.cleaned_data['key']}.{_digest(payload)}"
        return pushing.push(self._devices, payload, {"key": key})


def _digest(payload: Any) -> str:
    """Tell payloads apart: whoever goes back to the form and changes it sends another push."""
    return hashlib.sha256(json.dumps(payload).encode()).hexdigest()[:8]


def parsed(text: str) -> Any:
    """Return a payload that somebody wrote: JSON if it begins like an object, else the text.

    Raises:
        ValidationError: It begins like an object and is not JSON.
    """
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise forms.ValidationError(f"This is not JSON: {error}") from None
