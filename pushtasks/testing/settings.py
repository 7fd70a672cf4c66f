"""Pure: settings as they are written, made to lead to a pretend provider and nowhere else.

What says where an app sends, and as whom, is replaced; whatever else a test may be about (topic,
environment, retries, rate, …) stays.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from pushtasks.config.tables import merged

#: What leads to a provider, or shows who is asking.
_WAYS: Final = frozenset(
    {
        *("key", "key_id", "team_id", "certificate", "certificate_key", "certificate_password"),
        *("server", "broadcast_server", "channel_server", "gateway", "feedback"),
        *("feedback_hostname", "ca_file", "proxy", "credentials", "project", "api_key"),
    }
)
PROTOCOLS: Final = MappingProxyType({"apns": "http2", "gcm": "v1"})
TOPIC: Final = "com.example.app"

#: By provider and protocol: what stands instead.
Instead = Mapping[str, Mapping[str, Mapping[str, Any]]]

#: Enough to be valid. Nothing ever opens it, and where nobody listens nothing is sent.
_NOBODY: Final = "127.0.0.1:1"
NOWHERE: Final[Instead] = MappingProxyType(
    {
        "apns": {
            "http2": {"key": "none.p8", "key_id": "OUTBOX0000", "team_id": "OUTBOX0000"},
            "binary": {
                "certificate": "none.pem",
                "gateway": _NOBODY,
                "feedback": _NOBODY,
            },
        },
        "gcm": {
            "v1": {"credentials": "none.json"},
            "legacy": {"api_key": "none", "server": f"http://{_NOBODY}/gcm/send"},
        },
    }
)


def redirected(written: Mapping[str, Any], more: Mapping[str, Any], instead: Instead) -> Any:
    """Return settings whose apps all lead elsewhere.

    Args:
        written: What all sources say together.
        more: What the test says, which comes before.
        instead: Where they are to lead.
    """
    values = merged(written, more)
    for provider, default in PROTOCOLS.items():
        apps = values.get(provider)
        if isinstance(apps, Mapping):  # anything else is told as a mistake of the settings
            values[provider] = dict(_redirected_apps(apps, default, instead[provider]))
    return values


def has_apps(written: Mapping[str, Any]) -> bool:
    """Return whether settings name any app: a web process may know none."""
    return any(written.get(provider) for provider in PROTOCOLS)


def app_nowhere(provider: str, name: str) -> dict[str, Any]:
    """Return the settings of an app that nobody has written."""
    topic = {"topic": TOPIC} if provider == "apns" else {}
    return {"name": name, **topic, **NOWHERE[provider][PROTOCOLS[provider]]}


def _redirected_apps(
    apps: Mapping[str, Any], default: str, instead: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Any]]:
    for name, app in apps.items():
        if not isinstance(app, Mapping):
            yield name, app
            continue
        protocol = app.get("protocol", default)
        kept = {key: value for key, value in app.items() if key not in _WAYS}
        if protocol == "http2" and not kept.get("topic"):
            kept["topic"] = TOPIC
        yield name, {**kept, **instead.get(protocol, {})}
