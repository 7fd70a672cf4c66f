"""What a command line says of whom to send to, and what."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError

from pushtasks.adapters.django.feedback import device_models

#: A lookup of Django's whose value is a list.
_LIST: Final = "__in"


def chosen_devices(label: str | None, filters: Iterable[str]) -> Any:
    """Return a queryset.

    Args:
        label: Of the model, `app.Model`; None if there is only one.
        filters: Lookups of Django's, as `field=value`.

    Raises:
        CommandError: There is no such model, or a filter is wrong.
    """
    lookups = dict(_lookup(text) for text in filters)
    try:
        return _model(label)._base_manager.filter(**lookups)
    except (FieldError, ValidationError, ValueError) as error:
        raise CommandError(f"--filter: {_words(error)}") from None


def chosen_payload(text: str | None, payload: str | None) -> Any:
    """Return what is to be sent.

    Args:
        text: To be shown.
        payload: Or the payload: JSON, a file, or `-` for standard input.

    Raises:
        CommandError: It is neither or both; it cannot be read, or is not JSON.
    """
    if (text is None) == (payload is None):
        raise CommandError("give a text, or --payload, and not both")
    if payload is None:
        return text
    try:
        return json.loads(_content(payload))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--payload: this is not JSON: {_words(error)}") from None


def _lookup(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--filter: {text!r} is no FIELD=VALUE, such as provider=apns")
    return name, value.split(",") if name.endswith(_LIST) else value


def _model(label: str | None) -> Any:
    models = {model._meta.label: model for model in device_models()}
    if label is None and len(models) == 1:
        return next(iter(models.values()))
    known = f"there are {', '.join(models)}" if models else "no installed model inherits Device"
    if label is None:
        raise CommandError(f"--model: which one? {known}")
    try:
        found = apps.get_model(label)
    except (LookupError, ValueError):
        found = None
    if found not in models.values():
        raise CommandError(f"--model: {label!r} is no model of devices; {known}")
    return found


def _content(payload: str) -> str:
    if payload.lstrip().startswith(("{", '"')):
        return payload
    if payload == "-":
        return sys.stdin.read()
    try:
        return Path(payload).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"--payload: {payload!r} cannot be read ({error.strerror}): give a file, - or JSON"
        ) from None


def _words(error: Exception) -> str:
    return " ".join(getattr(error, "messages", None) or str(error).split("\n"))
