"""System checks: mistakes that would otherwise show with the first push."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core import checks

from pushtasks.config import load_settings, mistakes_in

if TYPE_CHECKING:
    from pushtasks.adapters.django.models import Device

SETTING: Final = "PUSHTASKS"
#: As a Celery app of the project's own reads it that has the namespace `CELERY`.
NAMESPACED: Final = "CELERY_PUSHTASKS"
#: By which feedback finds a device.
IDENTITY: Final = frozenset({"provider", "app", "token"})


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Return what is wrong with the settings of apps, wherever they are written.

    Keys and certificates are not opened, since a web process needs none: `pushtasks check` does it.
    """
    name = NAMESPACED if not hasattr(settings, SETTING) else SETTING
    written = getattr(settings, name, None)
    source = "pushtasks" if written is None else name
    mistakes = [_error(line, source) for line in mistakes_in(written)]
    if mistakes or written is not None or load_settings(None).configured:
        return mistakes
    return [
        checks.Warning(
            "No app is set: there is no PUSHTASKS, no pushtasks.toml, no PUSHTASKS_… variable.",
            hint=(
                'Set PUSHTASKS = {"apns": {"default": {…}}}; or PUSHTASKS = {} if only workers'
                " elsewhere know the apps."
            ),
            obj=SETTING,
            id="pushtasks.W001",
        )
    ]


def check_model(model: "type[Device]") -> Iterator[checks.CheckMessage]:
    """Yield what is wrong with a model of devices: what holds its tokens apart got lost.

    Of a model that has them in the table of another, a proxy for one, that other tells.
    """
    if model._meta.abstract or model._meta.get_field("token").model is not model:
        return
    unique = [set(constraint.fields) for constraint in model._meta.total_unique_constraints]
    unique += [set(fields) for fields in model._meta.unique_together]
    unique += [{field.name} for field in model._meta.fields if field.unique]
    if any(fields <= IDENTITY for fields in unique):
        return
    yield checks.Error(
        "The same token of the same app can be in this table twice.",
        hint="Let its Meta inherit that of the mixin: class Meta(Device.Meta).",
        obj=model,
        id="pushtasks.E002",
    )


def _error(line: str, source: str) -> checks.CheckMessage:
    """Return a check message for a mistake of the form `key: what is wrong; what to do`."""
    problem, _, way_out = line.partition("; ")
    hint = way_out[:1].upper() + way_out[1:] or None
    return checks.Error(f"{problem}.", hint=hint, obj=source, id="pushtasks.E001")
