"""Celery signals by which a worker tells its host what it learnt about devices.

    from pushtasks.signals import token_expired

    @token_expired.connect
    def forget(entry, **kwargs): ...

`token_expired`, `token_replaced` and `rejected_late` come with `entry`, the dict of one entry of
the feedback stream; their sender is the Celery app, where it is known. A receiver that raises gets
the entry again. `mass_rejection` comes with `provider`, `app`, `environment`, `held` (tokens that
are not reported as dead), `suspicious` and `judged` (rejections that a wrong environment may
explain, and all pushes of the last 10 to 20 minutes).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from celery import Celery
from celery.utils.dispatch import Signal

from pushtasks.news import Kind

token_expired: Final = Signal(name="token_expired", providing_args=["entry"])
token_replaced: Final = Signal(name="token_replaced", providing_args=["entry"])
rejected_late: Final = Signal(name="rejected_late", providing_args=["entry"])
mass_rejection: Final = Signal(
    name="mass_rejection",
    providing_args=["provider", "app", "environment", "held", "suspicious", "judged"],
)

_BY_KIND: Final = MappingProxyType(
    {
        Kind.EXPIRED: token_expired,
        Kind.REPLACED: token_replaced,
        Kind.REJECTED_LATE: rejected_late,
    }
)


def have_receivers() -> bool:
    """Return whether anybody in this process wants to hear of devices."""
    return any(signal.receivers for signal in _BY_KIND.values())


def send(entry: Mapping[str, Any], celery_app: Celery | None = None) -> bool:
    """Tell the receivers of one entry; False if one of them raised, which Celery has logged.

    Args:
        entry: As `Entry.to_dict` returns it.
        celery_app: Whose worker was told; it is the signal's sender.
    """
    responses = _BY_KIND[Kind(entry["kind"])].send(sender=celery_app, entry=entry)
    return not any(isinstance(response, Exception) for _, response in responses)
