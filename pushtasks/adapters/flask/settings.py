"""What Flask's config says of pushtasks, in the shape of `pushtasks.toml`.

    PUSHTASKS = {"apns": {"default": {"topic": "com.example.app"}}}
    PUSHTASKS_APNS = {"default": {"topic": "com.example.app"}}
    PUSHTASKS_APNS__DEFAULT__TOPIC = "com.example.app"
    PUSHTASKS_CONFIG = "pushtasks.toml"

say the same; the first that does so holds, and paths are relative to the app's root folder. What
`from_prefixed_env` makes of FLASK_PUSHTASKS__APNS__DEFAULT__TOPIC in the environment is the first,
and the rest of a table that is written elsewhere stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pushtasks.config import mistakes_in
from pushtasks.config.mistakes import invalid_settings
from pushtasks.config.sources import CELERY_VARIABLES, FILE_VARIABLE, PREFIX, read_sources
from pushtasks.config.tables import merged
from pushtasks.errors import InvalidSettings

NESTED: Final = "PUSHTASKS"
_SOURCE: Final = "Flask's config"


@dataclass(frozen=True, slots=True)
class FlaskSettings:
    """What one Flask app says."""

    #: As of the Celery setting `pushtasks`.
    values: Mapping[str, Any]
    #: What the ready-made Celery app takes from the environment: `PUSHTASKS_BROKER_URL` and so on.
    variables: Mapping[str, str]


def read_config(config: Mapping[str, Any], root: Path) -> FlaskSettings:
    """Read and check a Flask app's config.

    Args:
        config: Of the app.
        root: Its root folder.

    Raises:
        InvalidSettings: Something is wrong; the message has a line for each mistake.
    """
    nested = config.get(NESTED) or {}
    if not isinstance(nested, Mapping):
        raise InvalidSettings(
            f"{NESTED} in {_SOURCE} is a {type(nested).__name__}; it must be a dict of the shape of"
            " pushtasks.toml"
        )
    tables: dict[str, Any] = _lowered(nested)
    variables: dict[str, str] = {}
    for name, value in config.items():
        if not name.startswith(PREFIX) or value is None:
            continue
        if isinstance(value, Mapping):
            key = name.removeprefix(PREFIX)
            tables = merged(_lowered({key: value}), tables)
        else:
            variables[name] = str(value)
    file = variables.pop(FILE_VARIABLE, "")
    single = read_sources(None, variables, root)
    sources = read_sources(merged(single.values, tables), {FILE_VARIABLE: file}, root)
    lines = [*single.mistakes, *mistakes_in(sources.values)]
    if lines:
        raise invalid_settings(lines, [_SOURCE])
    return FlaskSettings(
        sources.values,
        {name: text for name, text in variables.items() if name in CELERY_VARIABLES and text},
    )


def _lowered(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables as the file has them, if their names come from the environment, in capitals."""
    lowered: dict[str, Any] = {}
    for name, value in _capitals_last(tables):
        table = {name.lower(): _all_lowered(value)} if name.isupper() else {name: value}
        lowered = merged(lowered, table)
    return lowered


def _all_lowered(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    lowered: dict[str, Any] = {}
    for name, item in _capitals_last(value):
        key = name.lower() if name.isupper() else name
        lowered = merged(lowered, {key: _all_lowered(item)})
    return lowered


def _capitals_last(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the entries of a table that may have a name twice, in the order in which they hold."""
    return sorted(table.items(), key=lambda entry: entry[0].isupper())
