"""What is wrong with settings, in lines for people: key, value unless secret, rule, way out."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pushtasks.config.apps import ApnsApp, FeedbackSettings, GcmApp, WrittenSettings
from pushtasks.config.rules import CREDENTIAL, MISPLACED
from pushtasks.config.watching import LogSettings, MetricsSettings
from pushtasks.errors import InvalidSettings

APPS: Final[Mapping[str, type[BaseModel]]] = {"apns": ApnsApp, "gcm": GcmApp}
TABLES: Final[Mapping[str, type[BaseModel]]] = {
    "feedback": FeedbackSettings,
    "metrics": MetricsSettings,
    "logs": LogSettings,
}
#: Keys that nobody writes: they are made from others.
_MADE: Final = frozenset({"name"})
_LONGEST_SHOWN: Final = 60
_RULES: Final = {
    "dict_type": "must be a table of keys and values",
    "model_type": "must be a table of keys and values",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def names_written(values: Mapping[str, Any]) -> list[str]:
    """Return a line for each app whose settings have a `name`, which would otherwise be lost."""
    return [
        f"{provider}.{name}.name: unknown key; the app is called as its table, {name!r}"
        for provider in APPS
        if isinstance(apps := values.get(provider), Mapping)
        for name, app in apps.items()
        if isinstance(app, Mapping) and "name" in app
    ]


def lines_of(error: ValidationError) -> list[str]:
    """Return a line for each thing that pydantic found wrong with `WrittenSettings`."""
    return [_line(details) for details in error.errors(include_url=False)]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the way out for somebody who wrote a name that does not exist."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"


def invalid_settings(lines: list[str], sources: Iterable[str]) -> InvalidSettings:
    """Return one error for all mistakes.

    Args:
        lines: One for each mistake, at least one.
        sources: Where the settings were read from.
    """
    where = ", ".join(sources)
    if len(lines) == 1:
        return InvalidSettings(f"wrong setting ({where}): {lines[0]}")
    return InvalidSettings("\n  ".join([f"{len(lines)} wrong settings ({where}):", *lines]))


def _line(details: ErrorDetails) -> str:
    path = [str(part) for part in details["loc"]]
    key = ".".join(path)
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"{key}: unknown key; {suggestion(path[-1], _known_keys(path))}"
    if kind in {CREDENTIAL, MISPLACED}:
        return f"{key}: {details['msg']}"
    field = _field(path)
    way_out = f"set {field.description}" if field else "correct or remove it"
    if kind == "missing":
        return f"{key}: missing; {way_out}"
    shown = "this" if field is None or _is_secret(field) else _shown(details["input"])
    return f"{key}: {shown} is wrong, it {_rule(details)}; {way_out}"


def _rule(details: ErrorDetails) -> str:
    if details["type"] == "value_error":
        return str(details["ctx"]["error"])
    return _RULES.get(details["type"]) or details["msg"].replace("Input should", "must")


def _shown(value: object) -> str:
    if not isinstance(value, str | int | float):
        return f"a {type(value).__name__}"
    text = repr(value)
    if "@" in text or "?" in text:  # a URL that may have a password in it
        return "this"
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def _is_secret(field: FieldInfo) -> bool:
    annotation: Any = field.annotation
    return SecretStr in {annotation, *get_args(annotation)}


def _fields(path: list[str]) -> Mapping[str, FieldInfo]:
    """Return the fields among which the last part of a path is to be found."""
    if len(path) == 1:
        return WrittenSettings.model_fields
    return {**APPS, **TABLES}[path[0]].model_fields


def _field(path: list[str]) -> FieldInfo | None:
    if len(path) == 2 and path[0] in APPS:  # noqa: PLR2004
        path = path[:1]  # a whole app: as its provider
    return _fields(path).get(path[-1])


def _known_keys(path: list[str]) -> Iterable[str]:
    return _fields(path).keys() - _MADE
