"""Bodies of requests, read up to a limit."""

import io
import json
from http import HTTPStatus
from typing import Any, Final, NoReturn

from flask import Request
from werkzeug.datastructures import MultiDict

from pushtasks.adapters.http.problems import Problem

JSON: Final = "application/json"
_READ: Final = 64 * 1024


def require_length(asking: Request, limit: int) -> None:
    """Refuse a body that says of itself that it is too long.

    Raises:
        Problem: 413.
    """
    if (asking.content_length or 0) > limit:
        _refuse(limit)


def read_json(asking: Request, limit: int) -> Any:
    """Return the JSON value that a request's body is.

    Raises:
        Problem: 413, 415, or 400 if it is no JSON.
    """
    if asking.mimetype != JSON:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type {asking.mimetype or 'missing'!r}: send JSON as {JSON} (curl: --json)",
        )
    require_length(asking, limit)
    data = asking.stream.read(limit + 1)
    if len(data) > limit:
        _refuse(limit)
    return parsed(data.decode("utf-8", "replace"), "the body")


def read_form(asking: Request, limit: int) -> MultiDict[str, str]:
    """Return the fields of a form.

    Raises:
        Problem: 413, also of a body that has not said how long it is.
    """
    require_length(asking, limit)
    asking.max_content_length = limit + 1  # beyond it, a body is cut off without a word
    asking.max_form_memory_size = limit
    stream = asking.stream
    form = asking.form
    if stream.tell() > limit:
        _refuse(limit)
    return form


def parsed(text: str, what: str) -> Any:
    """Return the JSON value that a text is.

    Raises:
        Problem: 400: it is none.
    """
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise Problem(HTTPStatus.BAD_REQUEST, f"{what} is not JSON: {reason}")


class CutOff(BaseException):
    """A body breaks off: no error of the devices in it, which a fan-out would note as its end."""


class Upload(io.RawIOBase):
    """A body that is read line by line, and ends with an error where it grows too long."""

    def __init__(self, stream: Any, limit: int) -> None:
        """Take a request's stream, and the bytes that it may have."""
        self._stream, self._limit = stream, limit
        self._size = 0

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes.

        Raises:
            ValueError: There are too many.
            CutOff: The caller has gone before the end.
        """
        try:
            data = self._stream.read(min(len(buffer), _READ))
        except Exception as error:  # each server has one of its own for that
            raise CutOff(type(error).__name__) from error
        self._size += len(data)
        if self._size > self._limit:
            raise ValueError(f"more than {self._limit} bytes: send the rest as another fan-out")
        buffer[: len(data)] = data
        return len(data)


def lines_of(asking: Request, limit: int) -> io.BufferedReader:
    """Return a request's body to be read line by line; a line at a time is in memory."""
    return io.BufferedReader(Upload(asking.stream, limit), _READ)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value of JSON")


def _refuse(limit: int) -> NoReturn:
    raise Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {limit} bytes; send less"
    )
