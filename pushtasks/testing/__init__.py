"""For tests of code that sends pushes: they are kept in an outbox, or go to a pretend provider.

In pytest they are fixtures, `push_outbox` and `push_emulator`, of a plugin that needs no
registration. Elsewhere they are context managers:

    from pushtasks.testing import outbox

    with outbox() as pushes:
        order_shipped(device_token)
    assert pushes[0].payload["aps"]["alert"] == "Your order is on its way"

Nothing is imported before it is used, so that the plugin costs a test run nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pushtasks.testing.box import Outbox, SentPush
    from pushtasks.testing.emulating import emulator
    from pushtasks.testing.keeping import outbox
    from pushtasks.testing.providers import PushEmulator, Received

__all__ = ["Outbox", "PushEmulator", "Received", "SentPush", "emulator", "outbox"]

_HOMES: Final = {
    "Outbox": "box",
    "PushEmulator": "providers",
    "Received": "providers",
    "SentPush": "box",
    "emulator": "emulating",
    "outbox": "keeping",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
