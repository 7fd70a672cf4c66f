"""The shape of the settings; a field's description says what to set, to people who set it wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from pushtasks.config.rules import (
    PROTOCOL_OF,
    check_address,
    check_apns_credential,
    check_apple_id,
    check_command,
    check_gcm_server,
    check_needed,
    check_protocol,
    check_proxy,
    check_rate,
    check_redis_url,
    check_server,
    check_time_of_day,
    check_topic,
    per_second,
)
from pushtasks.config.watching import LogSettings, MetricsSettings
from pushtasks.wire import apns_http2

#: Streams that FCM allows on a connection.
FCM_STREAMS: Final = 100

Server = Annotated[str | None, AfterValidator(check_server)]
Address = Annotated[str | None, AfterValidator(check_address)]
Rate = Annotated[str | None, AfterValidator(check_rate)]
Topic = Annotated[str, AfterValidator(check_topic)]
TimeOfDay = Annotated[str, AfterValidator(check_time_of_day)]
Proxy = Annotated[SecretStr | None, AfterValidator(check_proxy)]
RedisUrl = Annotated[str | None, AfterValidator(check_redis_url)]
Secret = Annotated[SecretStr | None, Field(min_length=1)]
#: A key id or team id. Checked even when missing: see ApnsApp.
AppleId = Annotated[str | None, AfterValidator(check_apple_id), Field(validate_default=True)]


class _App(BaseModel):
    """What apps of both providers have."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1, description="the name by which tasks call the app")
    #: Before everything that is checked by it.
    protocol: str
    server: str | None = Field(
        None, description="https://host or https://host:port, or leave it out"
    )
    ca_file: Path | None = Field(None, description="a PEM file of the authorities to trust")
    proxy: Proxy = Field(
        None,
        description="http://user:password@host:port, socks5://host:port or socks5h://host:port",
    )
    connections: int = Field(1, ge=1, description="the connections of a worker process, such as 1")
    streams: int = Field(ge=1, description="the requests in flight on a connection, such as 100")
    timeout: float = Field(
        10.0, gt=0, allow_inf_nan=False, description="the seconds for one attempt, such as 10.0"
    )
    retries: int = Field(5, ge=0, description="the attempts after the first, such as 5")
    rate: Rate = Field(None, description="the pushes of all workers together, such as 9000/s")
    ramp: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="the seconds in which the rate grows, such as 60",
    )
    unanswered: Literal["resend", "report"] = Field(
        "resend", description="what is to become of a push whose answer is lost, or leave it out"
    )
    skip_dead: bool = Field(
        default=False, description="true to leave out tokens that are known to be dead, or false"
    )

    @property
    def per_second(self) -> float:
        """The rate, as pushes in a second; 0 without one."""
        return per_second(self.rate)

    @field_validator(*PROTOCOL_OF, "connections", "streams", check_fields=False)
    @classmethod
    def _belongs_to_protocol(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.field_name or ""
        if value is not None:
            check_protocol(name, info.data)
        return value


class ApnsApp(_App):
    """One app at Apple: where its pushes go and as whom.

    Keys and certificates are an absolute path, PEM text or base64: see `pushtasks.keyfiles`.
    """

    protocol: Literal["http2", "binary"] = Field(
        "http2", description='"http2", or "binary" for a gateway of 2009 to 2021, or leave it out'
    )
    topic: Topic | None = Field(
        None, validate_default=True, description="the app's bundle id, such as com.example.app"
    )
    environment: Literal["production", "sandbox"] = Field(
        "production", description="the one that the device tokens are from, or leave it out"
    )
    certificate: Secret = Field(
        None, description="the push certificate: a path, PEM text or base64 (PEM or PKCS#12)"
    )
    # What follows is checked even when missing, and in this order: each sees those above it.
    key: Secret = Field(
        None, validate_default=True, description="the .p8 key: a path, PEM text or base64"
    )
    key_id: AppleId = Field(None, description="the 10 characters that Apple shows beside the key")
    team_id: AppleId = Field(None, description="the 10 characters on Apple's membership page")
    certificate_key: Secret = Field(
        None, description="the certificate's private key, if it is not in the same file"
    )
    certificate_password: Secret = Field(
        None, description="the password of the certificate's private key"
    )
    streams: int = Field(
        apns_http2.STREAMS, ge=1, description="the requests in flight on a connection, such as 1000"
    )
    broadcast_server: Server = Field(
        None, description="https://host or https://host:port, or leave it out"
    )
    channel_server: Server = Field(
        None, description="https://host or https://host:port, or leave it out"
    )
    gateway: Address = Field(None, description="host:port of a binary gateway, or leave it out")
    feedback: Address = Field(None, description="host:port of a feedback service, or leave it out")
    feedback_hostname: str | None = Field(
        None, min_length=1, description="the name in the feedback service's certificate"
    )
    pool_size: int = Field(2, ge=1, description="the connections of a worker process, such as 2")
    assume_sent: float = Field(
        0.5, gt=0, allow_inf_nan=False, description="the seconds of silence that count as accepted"
    )
    confirm: Literal["silence", "sentinel"] = Field(
        "silence", description="how lists are confirmed, or leave it out"
    )
    command: int = Field(2, ge=0, le=2, description="the form of frames: 2, or 0 or 1 if need be")
    idle_age: float = Field(
        300.0,
        gt=0,
        allow_inf_nan=False,
        description="the seconds without use that a connection bears",
    )
    log_successes: bool = Field(
        default=False, description="true to log each accepted push that has an identifier, or false"
    )

    @field_validator("server")
    @classmethod
    def _is_origin(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            check_protocol("broadcast_server", info.data)  # gateways have an address of their own
        return check_server(value)

    @field_validator("command")
    @classmethod
    def _can_confirm(cls, value: int, info: ValidationInfo) -> int:
        return check_command(value, info.data)

    @field_validator("topic")
    @classmethod
    def _has_topic(cls, value: str | None, info: ValidationInfo) -> str | None:
        way = "the app's bundle id, such as com.example.app"
        check_needed(value, info.data, "http2", way)
        return value

    @field_validator("key", "key_id", "team_id", "certificate_key", "certificate_password")
    @classmethod
    def _can_authenticate(cls, value: Any, info: ValidationInfo) -> Any:
        check_apns_credential(info.field_name or "", value, info.data)
        return value


class GcmApp(_App):
    """One Firebase project: where its messages go and as whom."""

    protocol: Literal["v1", "legacy"] = Field(
        "v1", description='"v1", or "legacy" for GCM and FCM up to 2024, or leave it out'
    )
    credentials: Secret = Field(
        None,
        validate_default=True,
        description="the service account's JSON: a path, the text or base64",
    )
    project: str | None = Field(
        None, min_length=1, description="the Firebase project id; default: the credentials' own"
    )
    streams: int = Field(
        FCM_STREAMS, ge=1, description="the requests in flight on a connection, such as 100"
    )
    ramp: float = Field(
        60.0,
        ge=0,
        allow_inf_nan=False,
        description="the seconds in which the rate grows, such as 60",
    )
    api_key: Secret = Field(
        None, validate_default=True, description="the API key, also called server key"
    )
    form: Literal["json", "text"] = Field(
        "json", description='"json", or "text" for a relay that takes plain text only'
    )

    @field_validator("server")
    @classmethod
    def _is_server(cls, value: str | None, info: ValidationInfo) -> str | None:
        return check_gcm_server(value, info.data.get("protocol"))

    @field_validator("credentials", "api_key")
    @classmethod
    def _can_authenticate(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.field_name or ""
        protocol, way = {
            "credentials": ("v1", "the service account's JSON: a path, the text or base64"),
            "api_key": ("legacy", "the API key, also called server key"),
        }[name]
        check_needed(value, info.data, protocol, way)
        return value


class FeedbackSettings(BaseModel):
    """What becomes of news about devices: dead tokens, replaced ones, late rejections."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    handler: str | None = Field(
        default=None,
        min_length=1,
        description="the dotted path of a function that takes a list of entries",
    )
    handler_task: str | None = Field(
        default=None,
        min_length=1,
        description="the name of a Celery task that takes a list of entries",
    )
    handler_queue: str = Field(
        default="celery", min_length=1, description="the queue on which that task's workers listen"
    )
    length: int = Field(
        default=100_000, ge=1, description="the entries that are kept at the most, such as 100000"
    )
    poll_at: TimeOfDay = Field(
        default="04:20", description="a time of day, HH:MM, for the daily poll"
    )
    breaker: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="the share of suspicious rejections that stops deletion, such as 0.5",
    )


class WrittenSettings(BaseModel):
    """All settings, as people write them."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    redis_url: RedisUrl = Field(
        None, description="redis://[:password@]host:port/database, rediss://… or unix:///path"
    )
    apns: dict[str, ApnsApp] = Field({}, description="a table for each app, as [apns.default]")
    gcm: dict[str, GcmApp] = Field({}, description="a table for each app, as [gcm.default]")
    feedback: FeedbackSettings = Field(
        default_factory=FeedbackSettings, description="a table, [feedback]"
    )
    metrics: MetricsSettings = Field(
        default_factory=MetricsSettings, description="a table, [metrics]"
    )
    logs: LogSettings = Field(default_factory=LogSettings, description="a table, [logs]")

    @field_validator("apns", "gcm", mode="before")
    @classmethod
    def _name_apps(cls, apps: Any) -> Any:
        """Let each app know its name."""
        if not isinstance(apps, Mapping):
            return apps
        return {
            name: {**values, "name": name} if isinstance(values, Mapping) else values
            for name, values in apps.items()
        }
