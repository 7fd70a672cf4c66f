"""Pure: the settings file of gapless, a JSON object, as a frozen object.

Source: jlindenbaum/gapless, README and settings.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pushtasks.config.mistakes import invalid_settings, suggestion
from pushtasks.config.rules import check_address
from pushtasks.errors import InvalidSettings
from pushtasks.wire.apns_binary import GATEWAY_HOSTS

#: Relative to the settings file.
PATHS: Final = ("apns_cert_path", "apns_key_path", "ca_file")
_LONGEST_SHOWN: Final = 60


def _address(value: str) -> str:
    check_address(value)
    return value


class GaplessSettings(BaseModel):
    """What gapless goes by; all keys are gapless's own but the last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    apns_cert_path: Path = Field(description="the path of the certificate, a PEM file")
    apns_key_path: Path = Field(description="the path of the certificate's private key, a PEM file")
    apns_server: Annotated[str, AfterValidator(_address)] = Field(
        description="host:port of a binary gateway"
    )
    redis_queue_key: str = Field(min_length=1, description="the key of the Redis list")
    pool_size: int = Field(2, ge=1, description="the connections to the gateway, such as 2")
    redis_host: str = Field("127.0.0.1", min_length=1, description="the host of the Redis")
    redis_port: int = Field(6379, ge=1, le=65535, description="the port of the Redis, such as 6379")
    redis_db: int = Field(0, ge=0, description="the number of the database, such as 0")
    log_successes: bool = Field(default=False, description="true or false")
    ca_file: Path | None = Field(
        None, description="the path of a PEM file of the authorities to trust, or leave it out"
    )

    @property
    def redis_url(self) -> str:
        """The Redis of the list, as `redis.Redis.from_url` and Celery take it."""
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{host}:{self.redis_port}/{self.redis_db}"

    @property
    def is_switched_off(self) -> bool:
        """Whether the gateway is one that Apple has switched off, and no stand-in for it."""
        host = self.apns_server.rpartition(":")[0].lower()
        return host in GATEWAY_HOSTS.values() and self.ca_file is None


def parse_gapless(text: str, file: Path) -> GaplessSettings:
    """Return the settings that a file holds.

    Args:
        text: Its content.
        file: Its absolute path, for messages; relative paths are relative to its folder.

    Raises:
        InvalidSettings: It is no JSON object, or something in it is wrong; a line for each mistake.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSettings(
            f"settings file {file} is not JSON ({error}); give gapless's settings file, or a"
            " pushtasks.toml"
        ) from None
    if not isinstance(values, dict):
        raise InvalidSettings(
            f"settings file {file} holds a {type(values).__name__}; it must be a JSON object of"
            f" {', '.join(GaplessSettings.model_fields)}"
        )
    try:
        return GaplessSettings.model_validate(_with_absolute_paths(values, file.parent))
    except ValidationError as error:
        lines = [_line(details) for details in error.errors(include_url=False)]
        raise invalid_settings(lines, [str(file)]) from None


def _with_absolute_paths(values: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Make paths absolute; an empty one is left out, so that it counts as missing."""
    paths = {name: values[name] for name in PATHS if isinstance(values.get(name), str)}
    absolute = {name: str(directory / path) for name, path in paths.items() if path}
    others = {name: value for name, value in values.items() if name not in paths}
    return {**others, **absolute}


def _line(details: ErrorDetails) -> str:
    """Return what is wrong with one key, and the way out."""
    key = str(details["loc"][0])
    field = GaplessSettings.model_fields.get(key)
    if field is None:
        return f"{key}: unknown key; {suggestion(key, GaplessSettings.model_fields)}"
    if details["type"] == "missing":
        return f"{key}: missing; set {field.description}"
    rule = details["msg"].removeprefix("Value error, ")
    rule = rule.replace("Input should", "must").replace("String should", "must")
    shown = repr(details["input"])[:_LONGEST_SHOWN]
    return f"{key}: {shown} is wrong, it {rule}; set {field.description}"
