"""Parameters in the query of a request, read and checked."""

import math
from collections.abc import Collection
from http import HTTPStatus
from typing import Final

from flask import request

from pushtasks.adapters.http.problems import Problem

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


def refuse_others(names: Collection[str]) -> None:
    """Refuse parameters that mean nothing: one that is misspelt may be what matters most.

    Raises:
        Problem: There is one, of another name than these.
    """
    for name in request.args:
        if name not in names:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                f"{name[:40]!r} is no parameter: there are {', '.join(names)}",
            )


def text(name: str) -> str | None:
    """Return a parameter; None if it is not given.

    Raises:
        Problem: It is empty, as where a variable of a script was not set.
    """
    value = request.args.get(name)
    if value == "":
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name}: empty; give a value, or leave it out")
    return value


def required(name: str) -> str:
    """Return a parameter.

    Raises:
        Problem: It is missing.
    """
    value = text(name)
    if value is None:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name}: missing; give it in the query, ?{name}=…")
    return value


def number(name: str, limit: int) -> int | None:
    """Return a whole number from 1 to a limit; None if it is not given.

    Raises:
        Problem: It is none.
    """
    value = text(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:12]) <= limit):
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"{name}: {value[:40]!r} is no whole number from 1 to {limit}"
        )
    return int(value)


def flag(name: str) -> bool | None:
    """Return whether something is so; None if it is not given.

    Raises:
        Problem: It is neither true nor false.
    """
    value = text(name)
    if value is None:
        return None
    if value.lower() not in _FLAGS:
        raise Problem(HTTPStatus.BAD_REQUEST, f"{name}: {value[:40]!r} is neither true nor false")
    return _FLAGS[value.lower()]


def expiration(name: str) -> float | str | None:
    """Return seconds from now, or what may be an instant; None if it is not given."""
    value = text(name)
    try:
        seconds = float(value) if value is not None else None
    except ValueError:
        return value
    return value if seconds is not None and not math.isfinite(seconds) else seconds
