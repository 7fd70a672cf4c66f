"""What the devices of a fan-out share, checked once, and each device, checked as it is read.

What is wrong with what they share is refused before the first is read. What is wrong with one
device is that device's own trouble, and the others are sent to.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from pushtasks.apns.notification import absolute_expiration, apns_id, device_token
from pushtasks.errors import InvalidPush
from pushtasks.fanout.records import PROVIDER, TOKEN_NAMES, Unreadable
from pushtasks.fcm.message import TARGET_KEYS, check_size, message, target
from pushtasks.results import APNS, GCM
from pushtasks.sending import arguments as checks
from pushtasks.store.fanout_state import CHUNK_LIMIT, MIXED, Spec

PROVIDERS: Final = (APNS, GCM, MIXED)

#: What a fan-out takes beside app and payload, of `send_apns_many` and `send_gcm_many`.
OPTIONS: Final[Mapping[str, Sequence[str]]] = {
    APNS: ("topic", "push_type", "priority", "expiration", "collapse_id", "environment"),
    GCM: ("dry_run",),
}
#: What a device at Google may have of its own.
GCM_OVERRIDES: Final = ("payload",)

#: Lists and objects within each other in which a token is looked for.
_DEPTH: Final = 10

#: As a task takes it: a token, or `[token, {overrides}]`; mixed, `[provider, token(, {…})]`.
Entry = Any
Check = Callable[[Any], Entry]
#: Token or target, and what holds for it alone.
_Parts = tuple[Any, Mapping[str, Any]]


def checked(spec: Spec) -> Spec:
    """Check what all devices share, and return it as tasks take it.

    Raises:
        InvalidPush: None of the devices could be sent to.
    """
    if spec.provider not in PROVIDERS:
        raise InvalidPush(f"provider {spec.provider!r} is none of {', '.join(PROVIDERS)}")
    if not 1 <= spec.chunk <= CHUNK_LIMIT:
        raise InvalidPush(f"chunk {spec.chunk}: a task takes 1 to {CHUNK_LIMIT} devices")
    if spec.key is not None and not _is_name(spec.key):
        raise InvalidPush("key: must be a printable text that is not empty, or be left out")
    options = {name: value for name, value in spec.options.items() if value is not None}
    _refuse_unknown(spec.provider, options)
    _refuse_wrong_payload(spec)
    for provider in providers_of(spec.provider):
        shared = {"app": spec.app, "payload": spec.payload_for(provider), **options}
        check = checks.check_shared_apns if provider == APNS else checks.check_shared_gcm
        check(shared, now=datetime.now(UTC))
    return replace(spec, options=_with_instant(options))


def providers_of(provider: str) -> tuple[str, ...]:
    """Return who the devices of a fan-out can belong to."""
    return (APNS, GCM) if provider == MIXED else (provider,)


def device_check(spec: Spec) -> Check:
    """Return the check of one device: it takes what a source has, and returns the entry.

    The check raises `InvalidPush` if the device could not be sent to.

    Args:
        spec: As `checked` returned it.
    """
    makes = {APNS: _apns_check, GCM: _gcm_check}
    ready = {
        provider: makes[provider]({**spec.options, "payload": spec.payload_for(provider)})
        for provider in providers_of(spec.provider)
    }
    return _mixed_check(ready) if spec.provider == MIXED else _readable(ready[spec.provider])


def token_in(item: Any) -> str:
    """Return what a source calls a device, which may be anything; "" if there is no telling."""
    for _ in range(_DEPTH):
        if isinstance(item, Mapping):
            item = next((item[name] for name in TOKEN_NAMES if name in item), "")
        elif isinstance(item, list | tuple) and item:
            has_provider = len(item) > 1 and item[0] in PROVIDERS
            item = item[1 if has_provider else 0]
    return item if isinstance(item, str) and not isinstance(item, Unreadable) else ""


def _is_name(key: object) -> bool:
    return isinstance(key, str) and bool(key) and key.isprintable()


def _readable(check: Check) -> Check:
    def check_item(item: Any) -> Entry:
        if isinstance(item, Unreadable):
            raise InvalidPush(str(item))
        return check(item)

    return check_item


def _apns_check(shared: Mapping[str, Any]) -> Check:
    def check(item: Any) -> Entry:
        if isinstance(item, str):
            device_token(item := item.strip())
            return item
        token, overrides = checks.apns_entry(_parts(item))
        device_token(token)
        if not overrides:
            return token
        own = _with_instant(overrides)
        if "apns_id" in own:
            own["apns_id"] = apns_id(own["apns_id"])
        checks.apns_notification({**shared, **own}, topic=None)
        return [token, own]

    return check


def _gcm_check(shared: Mapping[str, Any]) -> Check:
    now = datetime.now(UTC)
    common = message(shared["payload"], now=now)

    def check(item: Any) -> Entry:
        if isinstance(item, str):
            check_size(common, target(item := item.strip()))
            return item
        device, overrides = _parts(item, TARGET_KEYS)
        for name in overrides:
            if name not in GCM_OVERRIDES:
                raise InvalidPush(
                    f"override {name!r}: a device at Google can have only a payload of its own"
                )
        own = message(overrides["payload"], now=now) if overrides else common
        check_size(own, target(device))
        return [device, dict(overrides)] if overrides else device

    return check


def _mixed_check(ready: Mapping[str, Check]) -> Check:
    def check(item: Any) -> Entry:
        provider, rest = _provider_of(item)
        if not isinstance(provider, str) or provider not in ready:
            raise InvalidPush(
                f"provider {provider!r}: devices are mixed: give apns or gcm with each"
            )
        entry = ready[provider](rest)
        return [provider, *entry] if isinstance(entry, list) else [provider, entry]

    return _readable(check)


def _provider_of(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        return item.get(PROVIDER), {key: item[key] for key in item if key != PROVIDER}
    if isinstance(item, list | tuple) and len(item) in {2, 3}:
        provider, *rest = item
        return provider, rest[0] if len(rest) == 1 else rest
    return None, item


def _parts(item: Any, targets: Mapping[str, str] | None = None) -> _Parts:
    """Take a device apart that is no mere text: a pair, or an object with its token in it."""
    if isinstance(item, Mapping):
        for name in (*TOKEN_NAMES, *(targets or ())):
            if name in item:
                rest = {key: value for key, value in item.items() if key != name}
                return (item[name] if name in TOKEN_NAMES else {name: item[name]}), rest
        raise InvalidPush(f"object without a {' or '.join(TOKEN_NAMES[:3])}")
    if isinstance(item, list | tuple) and len(item) == 2 and isinstance(item[1], Mapping):  # noqa: PLR2004
        return item[0], item[1]
    raise InvalidPush(
        f"{type(item).__name__} is no device: give a token, a pair of it and a dict of what is"
        " its own, or an object with a token"
    )


def _with_instant(options: Mapping[str, Any]) -> dict[str, Any]:
    """Let an expiration count from now, not from when a worker comes to it; in ISO 8601."""
    if options.get("expiration") is None:
        return dict(options)
    instant = absolute_expiration(options["expiration"], now=datetime.now(UTC))
    return {**options, "expiration": instant and instant.isoformat()}


def _refuse_unknown(provider: str, options: Mapping[str, Any]) -> None:
    known = [name for one in providers_of(provider) for name in OPTIONS[one]]
    for name in options:
        if name not in known:
            raise InvalidPush(
                f"fan-out to {provider} has no option {name!r}: there are {', '.join(known)}"
            )


def _refuse_wrong_payload(spec: Spec) -> None:
    if spec.provider != MIXED or isinstance(spec.payload, str):
        return
    if not isinstance(spec.payload, Mapping) or set(spec.payload) != {APNS, GCM}:
        raise InvalidPush(
            'payload: devices are mixed: give a text, or a payload for each as {"apns": …, "gcm":'
            " …}"
        )
