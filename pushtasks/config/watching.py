"""The settings of those who watch: where metrics are served, what logs look like."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pushtasks.config.rules import check_listen, listen_parts

Listen = Annotated[str | None, BeforeValidator(check_listen)]


class MetricsSettings(BaseModel):
    """Where a worker tells Prometheus what it does; nowhere, unless it is set."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    listen: Listen = Field(
        default=None,
        description="127.0.0.1:9540, or for several workers on a host 127.0.0.1:9540-9549; port 0"
        " is any that is free",
    )

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port, in the order in which they are to be tried; empty if nothing is set."""
        if self.listen is None:
            return []
        host, ports = listen_parts(self.listen)
        return [(host, port) for port in ports]


class LogSettings(BaseModel):
    """What a worker's log looks like."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: Literal["text", "json"] = Field(
        default="text", description='"text" as Celery writes it, or "json", an object in each line'
    )
