"""A chunk of a fan-out taken apart: the devices of each app, and how that app sends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Final

from celery import Celery

from pushtasks.clients import apns_client, fcm_client
from pushtasks.config import ApnsApp, GcmApp, current_settings
from pushtasks.errors import InvalidPush
from pushtasks.feedback.ledger import REFUSED, UNJUDGED, news_of, reason_of
from pushtasks.net.multiplexer import exchange_limit
from pushtasks.results import APNS, GCM, Outcome, Provider, Result, Verdict
from pushtasks.sending.addressing import apns_devices, fcm_devices, spared
from pushtasks.sending.arguments import identifier_of, shown_token
from pushtasks.sending.delivery import Device, Devices
from pushtasks.sending.pacing import limit_of
from pushtasks.store.chunks import Settled
from pushtasks.store.fanout_state import MIXED, Spec
from pushtasks.store.rates import Limit
from pushtasks.store.tallies import rejected_for

#: Takes pushes, and `watch`, which is told which of them have been accepted by now.
Send = Callable[..., list[Verdict]]

_PROVIDERS: Final = (APNS, GCM)
#: Seconds that a try may take beside the exchange with the provider: Redis may be away for a while;
#: and those of the wires of 2014, which may take one device after the other.
SPARE: Final = 60.0
CLASSIC: Final = 900.0


@dataclass
class Part:
    """The devices of one app."""

    celery_app: Celery
    spec: Spec
    provider: Provider
    #: By place in the chunk.
    entries: dict[int, Any]
    #: Devices whose entries cannot be read.
    refused: list[Device[Any]] = field(default_factory=list)

    @cached_property
    def app(self) -> ApnsApp | GcmApp:
        """The settings of the app.

        Raises:
            InvalidPush: There is no such app.
        """
        settings = current_settings(self.celery_app)
        find = settings.apns_app if self.provider == APNS else settings.gcm_app
        return find(self.spec.app)

    @property
    def lease(self) -> float:
        """Seconds after which a try of which nothing is heard must be over, with some to spare."""
        try:
            is_classic = self.app.protocol in {"binary", "legacy"}
            return SPARE + (CLASSIC if is_classic else exchange_limit(self.app.timeout))
        except InvalidPush:  # there is no such app, which is told soon
            return SPARE

    @cached_property
    def limit(self) -> Limit:
        """How fast it may send."""
        return limit_of(self.provider, self.app)

    @cached_property
    def environment(self) -> str:
        """The environment at Apple; empty at Google, which has none."""
        if not isinstance(self.app, ApnsApp):
            return ""
        return self.spec.options.get("environment") or self.app.environment

    @cached_property
    def client(self) -> Any:
        """This process's client.

        Raises:
            InvalidSettings: The key or credentials cannot be used.
        """
        if self.provider == APNS:
            return apns_client(self.celery_app, self.spec.app, self.environment)
        return fcm_client(self.celery_app, self.spec.app)

    @property
    def send(self) -> Send:
        """What sends the pushes of a list."""
        send: Send = self.client.send
        return partial(send, is_list=True) if self.provider == APNS else send

    def devices(self, list_id: str, entries: Mapping[int, Any]) -> Devices[Any]:
        """Return devices with what each gets.

        Args:
            list_id: What the `apns-id` of each is made of, with its place.
            entries: Those of this part that are left.

        Raises:
            InvalidPush: What they share can be sent to none.
        """
        shared = {**self.spec.options, "payload": self.spec.payload_for(self.provider)}
        if isinstance(self.app, ApnsApp):
            made = apns_devices(self.client, self.app, shared, list_id, entries)
        else:
            made = fcm_devices(self.client, shared, entries, may_override=True)
        devices = spared(self.celery_app, self.provider, self.app, made)
        devices.settled.extend(self.refused)
        return devices

    def settled(self, place: int, result: Result, line: int | None) -> Settled:
        """Return what is to be noted of a device that was not simply accepted."""
        entry = self.entries.get(place)
        if isinstance(self.app, ApnsApp):
            result = replace(result, identifier=identifier_of(entry))
        outcome = reported = result.outcome.value
        is_judged = result.outcome is Outcome.ACCEPTED
        if result.outcome is Outcome.REJECTED:
            reason = reason_of(result)
            reported, is_judged = rejected_for(reason), reason not in UNJUDGED
            outcome = "invalid" if reason == REFUSED else outcome
        news = tuple(news_of(_target(entry), result, datetime.now(UTC)))
        is_renamed = result.canonical_id is not None
        failure = {"line": line, **result.to_dict()}
        return Settled(place, outcome, reported, is_judged, is_renamed, news, failure)


def _target(entry: Any) -> Any:
    return entry[0] if isinstance(entry, list) and entry else entry or ""


def split(celery_app: Celery, spec: Spec, entries: dict[int, Any]) -> list[Part]:
    """Return the parts of a chunk; of a mixed one, where each entry begins with its provider, two.

    Args:
        celery_app: Whose settings to go by.
        spec: What the fan-out is to do.
        entries: By place in the chunk.
    """
    if spec.provider != MIXED:
        return [Part(celery_app, spec, spec.provider, entries)]
    parts = {provider: Part(celery_app, spec, provider, {}) for provider in _PROVIDERS}
    refused = []
    for place, entry in entries.items():
        try:
            provider, own = _own(entry)
            parts[provider].entries[place] = own
        except InvalidPush as error:
            refused.append(Device(place, shown_token(entry), error))
    used = [part for part in parts.values() if part.entries] or [parts[APNS]]
    used[0].refused = refused
    return used


def _own(entry: Any) -> tuple[Provider, Any]:
    """Return the provider of an entry of a mixed fan-out, and the entry as that one's alone."""
    if isinstance(entry, list) and len(entry) in {2, 3} and entry[0] in _PROVIDERS:
        return entry[0], entry[1] if len(entry) == 2 else entry[1:]  # noqa: PLR2004
    raise InvalidPush(
        'entry of a mixed fan-out: must be ["apns", device token] or ["gcm", registration id],'
        " perhaps with a dict of what holds for it alone"
    )
