"""The arguments of the tasks: checked where a task is called, and again where it runs.

A call refuses what would hold for every device. What is wrong with one device of a list is that
device's own result, so that the others are sent.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from reprlib import repr as shown
from typing import Any, Final

from pushtasks.apns.notification import (
    Notification,
    absolute_expiration,
    apns_id,
    device_token,
    notification,
)
from pushtasks.errors import InvalidPush
from pushtasks.fcm.message import check_size, message, target
from pushtasks.masking import mask
from pushtasks.results import Identifier

#: Devices of one `send_apns_many`, and of one list in `send_gcm`, whose result names each of them.
APNS_MANY_LIMIT: Final = 1000
GCM_LIST_LIMIT: Final = 10_000

ENVIRONMENTS: Final = ("production", "sandbox")
#: What an entry of `send_apns_many` may say for its own device.
OVERRIDES: Final = (
    "payload",
    "topic",
    "push_type",
    "priority",
    "expiration",
    "collapse_id",
    "apns_id",
)
#: What it may say beside: nothing that is sent, but by what results, logs and news name the push.
IDENTIFIER: Final = "identifier"
#: Characters of an identifier that is text.
IDENTIFIER_LIMIT: Final = 100
#: Arguments that logs and Flower may show; anything else may hold a device or a payload.
SHOWN: Final = frozenset(
    {
        *("app", "topic", "push_type", "priority", "expiration", "collapse_id", "apns_id"),
        *("environment", "dry_run", "fanout", "chunk", "consumer"),
    }
)
#: Lists within lists in which a device is looked for.
_DEPTH: Final = 10

Arguments = dict[str, Any]


def bind(
    name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Arguments:
    """Return the arguments of a call by name.

    Raises:
        InvalidPush: One is missing, unknown or given twice.
    """
    signature = _signature(function)
    unknown = [key for key in kwargs if key not in signature.parameters]
    if unknown:
        hint = _hint(unknown[0], signature.parameters)
        raise InvalidPush(f"{name} has no option {unknown[0]!r}: {hint}")
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise InvalidPush(
            f"{name}: {error}; it takes {', '.join(_public(signature.parameters))}"
        ) from None


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Inspect each of our few functions once: it takes longer than all checks of a push."""
    return inspect.signature(function)


def check_apns(arguments: Arguments, *, now: datetime) -> Arguments:
    """Check the arguments of `send_apns`; a relative expiration comes back as an instant.

    Raises:
        InvalidPush: The push could not be sent; the message says why and what to do.
    """
    device_token(arguments["token"])
    return check_shared_apns(arguments, now=now)


def check_apns_many(arguments: Arguments, *, now: datetime) -> Arguments:
    """Check what the devices of `send_apns_many` share.

    Raises:
        InvalidPush: None of the devices could be sent to.
    """
    tokens = arguments["tokens"]
    if not isinstance(tokens, list | tuple):
        raise InvalidPush(
            f"tokens: {type(tokens).__name__} is no list; give a list of device tokens, or of"
            " [token, {overrides}] pairs"
        )
    if len(tokens) > APNS_MANY_LIMIT:
        raise InvalidPush(
            f"tokens: {len(tokens)} devices are more than the {APNS_MANY_LIMIT} of one task;"
            " call the task once for each slice"
        )
    return check_shared_apns(arguments, now=now)


def check_shared_apns(arguments: Arguments, *, now: datetime) -> Arguments:
    """Check everything of a push but its device."""
    checked = {**arguments, "app": _app(arguments)}
    environment = arguments.get("environment")
    if environment is not None and environment not in ENVIRONMENTS:
        raise InvalidPush(f"environment: {environment!r} is neither production nor sandbox")
    if arguments.get("apns_id") is not None:
        checked["apns_id"] = apns_id(arguments["apns_id"])
    if arguments.get("expiration") is not None:
        checked["expiration"] = absolute_expiration(arguments["expiration"], now=now)
    apns_notification(checked, topic=None)
    return checked


def check_gcm(arguments: Arguments, *, now: datetime) -> Arguments:
    """Check the arguments of `send_gcm`: one target, or a list of them.

    Raises:
        InvalidPush: No device could be sent to, or there are more than a result can name.
    """
    targets = arguments["registration_ids"]
    if isinstance(targets, list | tuple):
        if len(targets) > GCM_LIST_LIMIT:
            raise InvalidPush(
                f"registration_ids: {len(targets)} are more than the {GCM_LIST_LIMIT} whose results"
                " fit into one; use send_gcm_many, which names only what went wrong"
            )
        return check_shared_gcm(arguments, now=now)
    checked = check_shared_gcm(arguments, now=now)
    check_size(message(arguments["payload"], now=now), target(targets))
    return checked


def check_gcm_many(arguments: Arguments, *, now: datetime) -> Arguments:
    """Check what the devices of `send_gcm_many` share.

    Raises:
        InvalidPush: None of the devices could be sent to.
    """
    targets = arguments["registration_ids"]
    if not isinstance(targets, list | tuple):
        raise InvalidPush(
            f"registration_ids: {type(targets).__name__} is no list; give a list, or use send_gcm"
        )
    return check_shared_gcm(arguments, now=now)


def check_shared_gcm(arguments: Arguments, *, now: datetime) -> Arguments:
    """Check everything of a message but its target."""
    dry_run = arguments.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise InvalidPush(f"dry_run: {dry_run!r} is neither True nor False")
    message(arguments["payload"], now=now)
    return {**arguments, "app": _app(arguments)}


def apns_notification(arguments: Mapping[str, Any], *, topic: str | None) -> Notification:
    """Return the notification that arguments describe; `topic` stands in for one left out.

    Raises:
        InvalidPush: It breaks one of Apple's rules.
    """
    return notification(
        arguments["payload"],
        topic=arguments.get("topic") or topic,
        push_type=arguments.get("push_type"),
        priority=arguments.get("priority"),
        expiration=absolute_expiration(arguments.get("expiration"), now=datetime.now(UTC)),
        collapse_id=arguments.get("collapse_id"),
    )


def apns_entry(entry: Any) -> tuple[Any, Mapping[str, Any]]:
    """Take an entry of `send_apns_many` apart: the device token, and what holds for it alone.

    Raises:
        InvalidPush: It is neither a token nor a pair, or overrides what cannot be.
    """
    if not isinstance(entry, list | tuple):
        return entry, {}
    if len(entry) != 2 or not isinstance(entry[1], Mapping):  # noqa: PLR2004
        raise InvalidPush(
            f"entry of {len(entry)} items: must be a device token, or a pair of it and a dict of"
            f" {', '.join(OVERRIDES)}"
        )
    token, overrides = entry
    for key in overrides:
        if key == IDENTIFIER:
            check_identifier(overrides[key])
        elif key not in OVERRIDES:
            known = (*OVERRIDES, IDENTIFIER)
            raise InvalidPush(f"override {key!r} is unknown: {_hint(key, known)}")
    return token, overrides


def check_identifier(value: object) -> Identifier:
    """Return what a caller calls a push.

    Raises:
        InvalidPush: It is neither a whole number nor a short text.
    """
    if isinstance(value, str) and len(value) <= IDENTIFIER_LIMIT:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise InvalidPush(
        f"identifier: a {type(value).__name__} of that form names no push; give a whole number, or"
        f" a text of at most {IDENTIFIER_LIMIT} characters"
    )


def identifier_of(entry: Any) -> Identifier | None:
    """Return what the caller calls the push of an entry, if he does; wrong entries have none."""
    try:
        return check_identifier(entry[1][IDENTIFIER])
    except (InvalidPush, IndexError, KeyError, TypeError):  # a mere token, mostly
        return None


def fcm_entry(entry: Any) -> tuple[Any, Mapping[str, Any]]:
    """Take a device of a fan-out to Google apart: the target, and what holds for it alone.

    Raises:
        InvalidPush: It is a list, but no pair of a target and `{"payload": …}`.
    """
    if not isinstance(entry, list | tuple):
        return entry, {}
    if len(entry) != 2 or not isinstance(entry[1], Mapping) or entry[1].keys() - {"payload"}:  # noqa: PLR2004
        raise InvalidPush(
            f"entry of {len(entry)} items: must be a registration id or another target, or a pair"
            ' of it and {"payload": …}'
        )
    return entry[0], entry[1]


def check_chunk(arguments: Arguments) -> Arguments:
    """Check the shape of the arguments of `send_chunk`.

    Raises:
        InvalidPush: They are none of a chunk.
    """
    chunk = arguments["chunk"]
    if not isinstance(chunk, int) or chunk < 0:
        raise InvalidPush(f"chunk: {chunk!r} is no number of a chunk; they count from 0")
    return arguments


def shown_token(value: Any) -> str:
    """Return what a result calls a device: what the caller called it."""
    for _ in range(_DEPTH):
        if not (isinstance(value, list | tuple) and value):
            break
        value = value[0]
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        [(kind, name)] = value.items()
        return f"{kind}:{name if isinstance(name, str) else shown(name)}"
    return shown(value)


def masked(arguments: Mapping[str, Any]) -> str:
    """Return arguments as logs and Flower may show them, without devices and payloads in full."""
    texts = {key: _shown(key, value) for key, value in arguments.items() if not key.startswith("_")}
    return "{" + ", ".join(f"{key!r}: {text}" for key, text in texts.items()) + "}"


def _shown(key: str, value: Any) -> str:
    if key in {"tokens", "registration_ids"} and isinstance(value, list | tuple):
        return f"<{len(value)} devices>"
    if key in {"token", "registration_ids"}:
        return repr(mask(shown_token(value)))
    return repr(value) if key in SHOWN else f"<{key}>"


def _app(arguments: Mapping[str, Any]) -> str:
    app = arguments.get("app", "default")
    if not isinstance(app, str) or not app:
        raise InvalidPush(f"app: {app!r} is no name; give the name of an app in the settings")
    return app


def _public(names: Mapping[str, Any] | Sequence[str]) -> list[str]:
    return [name for name in names if not name.startswith("_")]


def _hint(word: object, known: Mapping[str, Any] | Sequence[str]) -> str:
    near = difflib.get_close_matches(str(word), _public(known), 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_public(known))}"
