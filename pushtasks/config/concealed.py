"""The Celery setting `pushtasks` as a worker keeps it, since Celery shows settings to whoever asks.

`celery inspect conf`, `celery report` and Flower spell all settings out, but for those whose names
sound like secrets. A service account, a certificate with its key and a proxy's password do not.
"""

from collections.abc import Mapping
from typing import Any, Final

from celery import Celery, signals

#: As it is written in lower case, and where Celery settings are in upper case.
NAMES: Final = ("pushtasks", "PUSHTASKS")


class Concealed:
    """A setting that is there and is not shown."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        """Name the apps at the most."""
        apps = [
            f"{provider}.{name}"
            for provider, apps in self.value.items()
            if provider in {"apns", "gcm"} and isinstance(apps, Mapping)
            for name in apps
        ]
        return f"<settings of {', '.join(apps) or 'no app'}; `pushtasks check` tells more>"


def setting_of(celery_app: Celery) -> Any:
    """Return the Celery setting `pushtasks` as it was written; None if there is none."""
    for name in NAMES:
        value = celery_app.conf.get(name)
        if value is not None:
            return value.value if isinstance(value, Concealed) else value
    return None


@signals.worker_init.connect
def conceal(sender: Any, **_: object) -> None:
    """Have a worker show nothing of it."""
    conf = sender.app.conf
    for name in NAMES:
        if isinstance(conf.get(name), Mapping):
            conf[name] = Concealed(conf[name])
