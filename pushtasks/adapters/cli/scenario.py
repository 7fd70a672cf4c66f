"""What the demo sends, and what the pretend providers are told to make of it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pushtasks.news import SUSPICIOUS
from pushtasks.results import Outcome

#: Devices of the bulk task, and those among them that are gone.
BULK: Final = 500
BULK_DEAD: Final = 2
#: The app that speaks to the pretend providers as in 2014.
CLASSIC: Final = "classic"
#: How long ago the dead device was found dead.
DEAD_FOR: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Device:
    """A device, what the provider is told to say of it, and what is to come of that."""

    token: str
    #: Body of the emulator's `PUT /tokens/<token>`; None: healthy.
    script: Mapping[str, Any] | None = None
    reason: str | None = None
    #: How often the push is to be sent until it is settled.
    tries: int = 1
    #: Whether a time of death is to come with it.
    is_dated: bool = False
    #: The registration id that is to take this one's place.
    canonical_id: str | None = None

    @property
    def is_news(self) -> bool:
        """Whether it must be in the feedback stream.

        What is suspicious may be held back, if it is settled before pushes are accepted.
        """
        is_dead = self.reason is not None and self.reason not in SUSPICIOUS
        return is_dead or self.canonical_id is not None

    @property
    def outcome(self) -> Outcome:
        """What is to become of its push."""
        return Outcome.REJECTED if self.reason else Outcome.ACCEPTED


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a task."""

    task: str
    #: The call as people write it.
    call: str
    devices: tuple[Device, ...]
    #: Whether the task is given a list, and so whether its result is that of a list.
    is_list: bool = False
    app: str = "default"


def scenario(now: datetime) -> tuple[Step, ...]:
    """Return all calls of the demo, in order."""
    dead_since = int((now - DEAD_FOR).timestamp() * 1000)
    healthy, gone, wrong, busy = (_device_token(number) for number in range(4))
    singles = (
        Device(healthy),
        Device(
            gone, {"reason": "Unregistered", "timestamp": dead_since}, "Unregistered", is_dated=True
        ),
        _bad(wrong),
        Device(busy, {"reason": "ServiceUnavailable", "times": 1, "retry_after": 1}, tries=2),
    )
    fcm = (Device("fGx1healthy"), _unregistered("dQ72uninstalled"))
    listed = (Device("c9Lmphone"), _unregistered("e5Tbtablet"), Device("a3Wkwatch"))
    apns_call, gcm_call = "send_apns.delay(token, payload)", "send_gcm.delay(id, payload)"
    many_call = "send_apns_many.delay(tokens, payload)"
    return (
        *(Step("send_apns", apns_call, (device,)) for device in singles),
        *(Step("send_gcm", gcm_call, (device,)) for device in fcm),
        Step("send_gcm", "send_gcm.delay([id, id, id], payload)", listed, is_list=True),
        Step("send_apns_many", many_call, tuple(_bulk()), is_list=True),
        *_classic(),
    )


def forgotten() -> str:
    """Return the device of which the feedback service tells that its app is gone."""
    return _device_token(5)


def _classic() -> Iterator[Step]:
    """Yield the calls that go over the wires of 2014."""
    gateway = (*(_healthy(number) for number in range(10, 14)), _refused(4), _healthy(14))
    call = 'send_apns_many.delay(tokens, payload, app="classic")'
    yield Step("send_apns_many", call, gateway, is_list=True, app=CLASSIC)
    successor = "h8Renew"
    listed = (
        Device("b2Xgold"),
        Device("k5Dmoved", {"canonical_id": successor}, canonical_id=successor),
        Device("p7Wremoved", {"reason": "NotRegistered"}, "NotRegistered"),
    )
    call = 'send_gcm.delay([id, id, id], payload, app="classic")'
    yield Step("send_gcm", call, listed, is_list=True, app=CLASSIC)


def differences(device: Device, result: Mapping[str, Any], tries: int) -> Iterator[str]:
    """Say how what became of a device differs from what was scripted."""
    pairs = {
        "outcome": (device.outcome.value, result["outcome"]),
        "reason": (device.reason, result["reason"]),
        "tries": (device.tries, tries),
        "dead_since given": (device.is_dated, result["dead_since"] is not None),
        "canonical_id": (device.canonical_id, result["canonical_id"]),
    }
    for name, (scripted, seen) in pairs.items():
        if scripted != seen:
            yield f"{name} {seen!r} instead of {scripted!r}"


def _bulk() -> Iterator[Device]:
    for number in range(BULK):
        token = _device_token(1000 + number)
        is_dead = number % (BULK // BULK_DEAD) == 1
        yield (
            Device(token, {"reason": "BadDeviceToken"}, "BadDeviceToken")
            if is_dead
            else Device(token)
        )


def _device_token(number: int) -> str:
    """Return a device token that looks like one: 64 hexadecimal digits, spread by a large prime."""
    return f"{(number + 3) * 0x9E3779B97F4A7C15F39CC0605CEDC834 % 2**128:032x}" * 2


def _healthy(number: int) -> Device:
    return Device(_device_token(number))


def _refused(number: int) -> Device:
    return Device(_device_token(number), {"reason": "InvalidToken"}, "InvalidToken")


def _bad(device_token: str) -> Device:
    return Device(device_token, {"reason": "BadDeviceToken"}, "BadDeviceToken")


def _unregistered(registration_id: str) -> Device:
    return Device(registration_id, {"reason": "UNREGISTERED"}, "UNREGISTERED")
