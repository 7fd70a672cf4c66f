"""Django signals of what providers told about devices.

    from django.dispatch import receiver
    from pushtasks.adapters.django.signals import token_expired

    @receiver(token_expired)
    def forget(entry, **kwargs): ...

Each is sent with `entry`, a `pushtasks.feedback.Entry`, once the tables of devices are up to date:
in a worker that has Django, and by `manage.py push_feedback`. At least once: a receiver that raises
gets the entry again.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.dispatch import Signal

from pushtasks.feedback import Entry
from pushtasks.news import Kind

#: A device's token is dead.
token_expired: Final = Signal()
#: A registration id has a successor, `entry.canonical_id`.
token_replaced: Final = Signal()
#: A push was refused after it had counted as accepted (binary gateway).
rejected_late: Final = Signal()

_BY_KIND: Final[Mapping[Kind, Signal]] = MappingProxyType(
    {
        Kind.EXPIRED: token_expired,
        Kind.REPLACED: token_replaced,
        Kind.REJECTED_LATE: rejected_late,
    }
)


def send(entry: Entry) -> bool:
    """Tell the receivers of one entry; False if one of them raised, which Django has logged."""
    responses = _BY_KIND[entry.kind].send_robust(sender=None, entry=entry)
    return not any(isinstance(response, Exception) for _, response in responses)
