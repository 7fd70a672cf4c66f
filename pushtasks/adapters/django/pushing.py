"""Pushes to devices in the database: to one by a task, to a queryset by fan-outs.

A fan-out has one provider, app and environment. So a queryset becomes as many fan-outs as there are
of these among its devices, and each is checked before the first is begun.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pushtasks import fanout
from pushtasks.adapters.django.rows import Rows
from pushtasks.errors import InvalidPush
from pushtasks.fanout import Fanout
from pushtasks.fanout.devices import OPTIONS
from pushtasks.results import APNS, GCM
from pushtasks.store.fanout_state import State
from pushtasks.tasks import send_apns, send_gcm

if TYPE_CHECKING:
    from celery.result import AsyncResult

    from pushtasks.adapters.django.models import Device

#: What a device says of itself.
OWN: Final = ("app", "environment")
#: Options about how a fan-out is published, not about what is sent.
STEERING: Final = ("celery_app", "chunk", "key", "progress", "window")

Options = Mapping[str, Any]


# One device -------------------------------------------------------------------------------------


class Call(NamedTuple):
    """A task that sends to one device, and its arguments, checked."""

    task: Any
    arguments: dict[str, Any]

    def send(self) -> "AsyncResult[Any]":
        """Hand the task to the workers."""
        promise: AsyncResult[Any] = self.task.apply_async(kwargs=self.arguments)
        return promise


def call_for(device: "Device", payload: Any, options: Options) -> Call:
    """Return the task that sends to a device.

    Raises:
        InvalidPush: It could not be sent, or the device is not active.
    """
    _refuse_own(options)
    if not device.is_active:
        why = device.inactive_reason or "switched off"
        raise InvalidPush(f"device {device} is not active ({why}): register it again")
    shared = {"payload": _payload_for(device.provider, payload), "app": device.app, **options}
    if device.provider == APNS:
        environment = device.environment or None
        call = Call(send_apns, {"token": device.token, "environment": environment, **shared})
    else:
        call = Call(send_gcm, {"registration_ids": device.token, **shared})
    call.task.checked(**call.arguments)
    return call


# A queryset -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """Devices of a queryset that one fan-out can send to, and what it sends."""

    provider: str
    app: str
    #: Empty: the app's own.
    environment: str
    payload: Any
    options: Options
    steering: Options

    def check(self) -> None:
        """See that it can be sent.

        Raises:
            InvalidPush: It cannot.
        """
        celery_app = self.steering.get("celery_app")
        fanout.check(
            self.provider, self.payload, app=self.app, celery_app=celery_app, **self.options
        )

    def start(self, devices: Any) -> Fanout:
        """Send to those of some devices that are of this part."""
        rows = Rows(_of(devices, self.provider, self.app, self.environment))
        one = fanout.start(
            self.provider, rows, self.payload, app=self.app, **self.options, **self._named()
        )
        if one.source_ended or one.has_publisher or one.state is not State.RUNNING:
            return one
        how = {name: it for name, it in self.steering.items() if name not in {"key", "chunk"}}
        return fanout.resume(one.id, rows, **how)  # of this key, and its publisher had to stop

    def _named(self) -> Options:
        """A key must be another for each part, and the same when it is started again."""
        key = self.steering.get("key")
        own = ".".join(filter(None, (self.provider, self.app, self.environment)))
        return self.steering if key is None else {**self.steering, "key": f"{key}.{own}"}


def push(devices: Any, payload: Any, options: Options) -> tuple[Fanout, ...]:
    """Send to the active devices of a queryset: see `DeviceQuerySet.push`."""
    return tuple(part.start(devices) for part in parts_of(devices, payload, options))


def parts_of(devices: Any, payload: Any, options: Options) -> list[Part]:
    """Return the fan-outs that a push to devices takes, all checked; nothing is begun.

    Args:
        devices: A queryset.
        payload: A text, a payload of the only provider among them, or `{"apns": …, "gcm": …}`.
        options: As of `fanout.start`, all but `app` and `environment`.

    Raises:
        InvalidPush: To some of the devices it could not be sent.
    """
    _refuse_own(options)
    kinds = _kinds(devices)
    providers = {provider for provider, *_ in kinds}
    _refuse_unknown(options, providers)
    if len(providers) > 1 and not _suits_both(payload):
        raise InvalidPush(
            'payload: the devices are of both providers: give a text, or {"apns": …, "gcm": …}; or'
            " filter by provider"
        )
    parts = [_part(*kind, payload, options) for kind in kinds]
    for part in parts:
        part.check()
    return parts


def resume(devices: Any, id_: str, **steering: Any) -> Fanout:
    """Go on with a fan-out whose publisher has stopped; `devices` are those that it began with."""
    spec = fanout.status(id_, celery_app=steering.get("celery_app")).spec
    of_part = _of(devices, spec.provider, spec.app, spec.options.get("environment", ""))
    return fanout.resume(id_, Rows(of_part), **steering)


def told(one: Fanout) -> str:
    """Return, for people, to whom a fan-out goes."""
    noun = "device" if one.devices == 1 else "devices"
    return f"{one.devices:,} {noun} of {one.spec.provider}/{one.spec.app}"


def active(devices: Any) -> Any:
    """Return the devices of a queryset that are sent to.

    Raises:
        InvalidPush: It has a beginning or an end, so that it cannot be read by pages.
    """
    if devices.query.is_sliced:
        raise InvalidPush(
            "queryset: a slice cannot be sent to, since it is read by pages; choose the devices by"
            " filter(), such as filter(pk__in=[…])"
        )
    return devices.filter(is_active=True)


def _of(devices: Any, provider: str, app: str, environment: str) -> Any:
    own = {"environment": environment} if provider == APNS else {}
    return active(devices).filter(provider=provider, app=app, **own)


def _kinds(devices: Any) -> list[tuple[str, str, str]]:
    kinds = active(devices).order_by().values_list("provider", "app", "environment").distinct()
    return sorted(
        {(provider, app, own if provider == APNS else "") for provider, app, own in kinds}
    )


def _part(provider: str, app: str, environment: str, payload: Any, options: Options) -> Part:
    known = {name: value for name, value in options.items() if name in OPTIONS[provider]}
    if environment:
        known["environment"] = environment
    steering = {name: value for name, value in options.items() if name in STEERING}
    return Part(provider, app, environment, _payload_for(provider, payload), known, steering)


def _suits_both(payload: Any) -> bool:
    return isinstance(payload, str) or _is_of_both(payload)


def _is_of_both(payload: Any) -> bool:
    return isinstance(payload, Mapping) and set(payload) == {APNS, GCM}


def _payload_for(provider: str, payload: Any) -> Any:
    return payload[provider] if _is_of_both(payload) else payload


def _refuse_own(options: Options) -> None:
    for name in OWN:
        if name in options:
            raise InvalidPush(f"option {name!r} is the device's own: filter by it, or change it")


def _refuse_unknown(options: Options, providers: set[str]) -> None:
    known = {*_options_of(providers or {APNS, GCM}), *STEERING}
    for name in options:
        if name not in known:
            raise InvalidPush(
                f"option {name!r} is none of these devices': there are {', '.join(sorted(known))}"
            )


def _options_of(providers: set[str]) -> Iterator[str]:
    for provider in providers:
        yield from (name for name in OPTIONS[provider] if name not in OWN)
