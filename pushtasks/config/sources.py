"""Where settings are written: Celery setting, TOML file, environment; the first of them wins.

A relative path means something only where it is written, so it is made absolute before merging: in
the file it is relative to the file, elsewhere to the working directory.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Final

from pushtasks.config.apps import WrittenSettings
from pushtasks.config.mistakes import suggestion
from pushtasks.config.tables import merged
from pushtasks.errors import InvalidSettings

PREFIX: Final = "PUSHTASKS_"
FILE_VARIABLE: Final = "PUSHTASKS_CONFIG"
FILE_NAME: Final = "pushtasks.toml"
#: Variables that begin alike and are read elsewhere, by the ready-made Celery app.
CELERY_VARIABLES: Final = frozenset(
    {
        "PUSHTASKS_ALIVE_FILE",
        "PUSHTASKS_BROKER_URL",
        "PUSHTASKS_RESULT_BACKEND",
        "PUSHTASKS_VISIBILITY_TIMEOUT",
        "PUSHTASKS_WORKER_CONCURRENCY",
        "PUSHTASKS_WORKER_POOL",
    }
)
#: How variables begin that adapters read.
ADAPTER_PREFIXES: Final = ("PUSHTASKS_SERVE_",)
#: What Kubernetes and Docker set for a service that happens to be called pushtasks.
_SERVICE_LINK: Final = re.compile(
    r"PUSHTASKS_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)

#: Settings that may be a path; all but the last may be the content itself.
_PATHS: Final = frozenset({"key", "certificate", "certificate_key", "credentials", "ca_file"})
#: Base64 of a key or certificate is longer, and paths have a dot somewhere.
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=_\s-]{100,}")


@dataclass(frozen=True, slots=True)
class Sources:
    """What all sources say together, unchecked."""

    values: Mapping[str, Any]
    #: Lines for people, about what could not even be merged.
    mistakes: list[str]
    #: Where it was read from, for people.
    names: list[str]
    #: Folder of the TOML file, else the working directory.
    directory: Path


def read_sources(
    celery_setting: Mapping[str, Any] | None, environ: Mapping[str, str], directory: Path
) -> Sources:
    """Read and merge all sources.

    Args:
        celery_setting: The Celery setting `pushtasks`, if any.
        environ: Environment variables.
        directory: The working directory.

    Raises:
        InvalidSettings: The TOML file is not there, not readable or not TOML.
    """
    file = _file(environ, directory)
    variables, mistakes = _read_environment(environ)
    found = {
        "environment": _with_absolute_paths(variables, directory),
        str(file): _with_absolute_paths(_read_toml(file), file.parent) if file else {},
        "Celery setting pushtasks": _with_absolute_paths(celery_setting or {}, directory),
    }
    values: dict[str, Any] = {}
    for source in found.values():
        values = merged(values, source)
    names = [name for name, source in reversed(found.items()) if source]
    return Sources(values, mistakes, names or ["environment"], file.parent if file else directory)


def _file(environ: Mapping[str, str], directory: Path) -> Path | None:
    if named := environ.get(FILE_VARIABLE):
        return directory / _expanded(Path(named))
    default = directory / FILE_NAME
    return default if default.exists() else None


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSettings(
            f"settings file {file} cannot be read ({error.strerror}); correct {FILE_VARIABLE}"
        ) from None
    except UnicodeDecodeError:
        raise InvalidSettings(f"settings file {file} is not UTF-8 text; save it as such") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"settings file {file} is not TOML: {error}") from None


def _read_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    mistakes = []
    for variable, text in _own_variables(environ):
        *path, key = variable.removeprefix(PREFIX).lower().split("__")
        top = path[0] if path else key
        if top not in WrittenSettings.model_fields:
            mistakes.append(f"{variable}: unknown variable; {_known_variable(variable)}")
            continue
        table: Any = values
        for part in path:
            table = table.setdefault(part, {}) if isinstance(table, dict) else None
        if isinstance(table, dict) and key not in table:
            table[key] = text
        else:
            mistakes.append(f"{variable}: another variable sets this already; unset one of them")
    return values, mistakes


def _own_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for variable, text in sorted(environ.items()):
        is_foreign = variable in {FILE_VARIABLE, *CELERY_VARIABLES} or variable.startswith(
            ADAPTER_PREFIXES
        )
        is_own = variable.startswith(PREFIX) and not is_foreign
        if is_own and text and not _SERVICE_LINK.fullmatch(variable):
            yield variable, text


def _known_variable(variable: str) -> str:
    return suggestion(
        variable,
        [
            FILE_VARIABLE,
            *CELERY_VARIABLES,
            "PUSHTASKS_REDIS_URL",
            "PUSHTASKS_APNS__DEFAULT__TOPIC",
            "PUSHTASKS_GCM__DEFAULT__CREDENTIALS",
        ],
    )


def _with_absolute_paths(values: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    return {
        key: _with_absolute_paths(value, directory)
        if isinstance(value, Mapping)
        else _absolute(value, directory)
        if key in _PATHS
        else value
        for key, value in values.items()
    }


def _absolute(value: Any, directory: Path) -> Any:
    if isinstance(value, PathLike):
        value = fspath(value)
    if not isinstance(value, str) or not value or _is_content(value):
        return value
    return str(directory / _expanded(Path(value)))


def _expanded(path: Path) -> Path:
    with suppress(RuntimeError):  # the home of somebody who has none
        return path.expanduser()
    return path


def _is_content(text: str) -> bool:
    text = text.strip()
    return "-----BEGIN" in text or text.startswith("{") or bool(_BASE64.fullmatch(text))
