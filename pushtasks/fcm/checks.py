"""Checks of the values that a message is made of, to be combined into tables of fields.

A check takes a value and the path that an error names, and returns the value as it goes on the
wire. Each raises InvalidPush with the path, the value, the rule and the way out.
"""

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final

from pushtasks.errors import InvalidPush

Check = Callable[[object, str], object]

#: Objects and lists within each other; Google's JSON parser gives up about there.
DEPTH_LIMIT: Final = 100
#: Characters of a value that an error shows.
SHOWN: Final = 40
INT32_MAX: Final = 2**31 - 1
#: Bits of the largest whole number that a JSON parser holds, in a double.
NUMBER_BITS: Final = 1023


def show(value: object) -> str:
    """Return what an error may show of a value: one short line."""
    try:
        shown = repr(value)
    except ValueError:  # Python prints no integer of over 4300 digits
        shown = f"<{type(value).__name__}>"
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "…"


def invalid(path: str, problem: str) -> InvalidPush:
    """Return the error about what stands at a path of the payload ("" is all of it)."""
    return InvalidPush(f"payload {path}: {problem}" if path else f"payload: {problem}")


def join(path: str, key: str) -> str:
    """Return the path of a field of the object at a path."""
    name = key if key.isprintable() and len(key) <= SHOWN else show(key)
    return f"{path}.{name}" if path else name


def text(value: object, path: str) -> str:
    """Check a string; lone surrogates, which UTF-8 cannot carry, are refused."""
    if not isinstance(value, str):
        raise invalid(path, f"{_kind(value)}: give text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise invalid(path, f"{show(value)} has a lone surrogate: give valid Unicode") from error
    return value


def flag(value: object, path: str) -> bool:
    """Check a boolean."""
    if not isinstance(value, bool):
        raise invalid(path, f"{_kind(value)}: give true or false")
    return value


def count(value: object, path: str, *, limit: int = INT32_MAX) -> int:
    """Check a whole number from 0 to the limit."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
        raise invalid(path, f"{show(value)} is no whole number from 0 to {limit}")
    return value


def one_of(*words: str) -> Check:
    """Return the check of an enum; lower case is put right."""

    def check(value: object, path: str) -> str:
        if not isinstance(value, str) or value.upper() not in words:
            raise invalid(path, f"{show(value)} is none of {', '.join(words)}")
        return value.upper()

    return check


def matching(pattern: str, rule: str) -> Check:
    """Return the check of a string that a pattern describes and a rule explains."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object, path: str) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise invalid(path, f"{show(value)} {rule}")
        return value

    return check


def mapping(value: object, path: str) -> Mapping[str, object]:
    """Check that a value is an object with text as keys; its values go unseen."""
    if not isinstance(value, Mapping):
        raise invalid(path, f"{_kind(value)}: give an object")
    for key in value:
        if not isinstance(key, str):
            raise invalid(path, f"the key {show(key)} is no text: give text")
        text(key, path)
    return value


def texts(value: object, path: str) -> dict[str, str]:
    """Check a map from string to string, such as headers."""
    return {key: text(item, join(path, key)) for key, item in mapping(value, path).items()}


def items(check: Check) -> Check:
    """Return the check of a list by the check of its items."""

    def check_all(value: object, path: str) -> list[object]:
        if not isinstance(value, (list, tuple)):
            raise invalid(path, f"{_kind(value)}: give a list")
        return [check(item, f"{path}[{index}]") for index, item in enumerate(value)]

    return check_all


def anything(value: object, path: str, depth: int = 0) -> object:
    """Check that a value of any shape is JSON."""
    if depth > DEPTH_LIMIT:
        raise invalid(path[:SHOWN] + "…", f"objects or lists nested over {DEPTH_LIMIT} deep")
    match value:
        case None | bool():
            return value
        case int() if value.bit_length() <= NUMBER_BITS:
            return value
        case float() if math.isfinite(value):
            return value
        case str():
            return text(value, path)
        case Mapping():
            return {
                key: anything(item, join(path, key), depth + 1)
                for key, item in mapping(value, path).items()
            }
        case list() | tuple():
            return items(partial(anything, depth=depth + 1))(value, path)
    raise invalid(path, f"{show(value)} cannot be said in JSON: give text or a finite number")


def free(value: object, path: str) -> object:
    """Check a JSON object whose fields are not ours to know."""
    return anything(mapping(value, path), path)


def known(key: str, names: Collection[str], path: str) -> str:
    """Return a field's name as its table has it, be it given in snake_case or camelCase.

    Raises:
        InvalidPush: There is no such field; the nearest name is suggested.
    """
    name = re.sub(r"(?<=[a-z0-9])[A-Z]", lambda capital: "_" + capital[0].lower(), key)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    way_out = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(names))}"
    raise invalid(path, f"{show(key)} is no known field; {way_out}")


def record(fields: Mapping[str, Check]) -> Callable[[object, str], dict[str, object]]:
    """Return the check of an object by its fields; None is the same as a field left out."""

    def check(value: object, path: str) -> dict[str, object]:
        checked: dict[str, object] = {}
        for key, item in mapping(value, path).items():
            name = known(key, fields, path)
            if name in checked:
                raise invalid(path, f"{name!r} is given twice, as {show(key)} too")
            if item is not None:
                checked[name] = fields[name](item, join(path, name))
        return checked

    return check


def _kind(value: object) -> str:
    return "null" if value is None else f"{show(value)} is of type {type(value).__name__}"
