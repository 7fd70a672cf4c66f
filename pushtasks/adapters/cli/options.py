"""Options that several commands have, and the forms that their values come in."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

STANDARD_INPUT: Final = "-"

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
app_option = click.option(
    "--app", default="default", show_default=True, help="The app in the settings."
)
environment_option = click.option(
    "--environment",
    type=click.Choice(["production", "sandbox"]),
    help="Instead of the app's own.",
)
payload_option = click.option(
    "--payload", metavar="FILE|-|JSON", help="The payload: a file, standard input, or JSON text."
)
expiration_option = click.option(
    "--expiration",
    metavar="SECONDS|TIME",
    help="How long the provider keeps it: seconds from now (0: not at all), or an ISO 8601 time.",
)


def read_payload(value: str) -> Any:
    """Return the JSON that `--payload` names or is.

    Raises:
        click.BadParameter: There is no such file, or it is not JSON.
    """
    if value.lstrip().startswith(("{", "[", '"')):
        return _parsed(value, "the text given")
    where = "standard input" if value == STANDARD_INPUT else value
    return _parsed(_text(value, "--payload"), where)


def read_lines(value: str) -> Iterator[str]:
    """Return the lines of a file, or of standard input, that are not empty.

    Raises:
        click.BadParameter: There is no such file.
    """
    return filter(None, map(str.strip, _text(value, "--tokens").splitlines()))


def read_expiration(value: str | None) -> float | str | None:
    """Return an expiration as the tasks take it; they check it."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


def _text(value: str, option: str) -> str:
    try:
        if value == STANDARD_INPUT:
            return sys.stdin.buffer.read().decode()
        return Path(value).read_text(encoding="utf-8")
    except OSError as error:
        problem = f"{value!r} cannot be read ({error.strerror}): give the path of a file, or -"
    except UnicodeDecodeError:
        problem = f"{value!r} is not UTF-8 text"
    raise click.BadParameter(problem, param_hint=option)


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        problem = f"{where} is not JSON: {error}"
    except RecursionError:
        problem = f"{where} is JSON nested too deeply"
    raise click.BadParameter(problem, param_hint="--payload")
