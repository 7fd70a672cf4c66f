"""What providers told about devices, brought to the tables of devices and to Django's signals.

A token is dead if it was not registered again since; one that was replaced gives way to a device
that has the new token already. Everything is done by conditional UPDATEs, so that it can come
twice, late, and while the device registers.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, router, transaction
from django.utils import timezone

from pushtasks import signals as worker_signals
from pushtasks.adapters.django import signals
from pushtasks.adapters.django.models import REASON_LENGTH, Device
from pushtasks.adapters.django.tokens import spellings
from pushtasks.errors import PushError
from pushtasks.feedback import Entry
from pushtasks.masking import mask
from pushtasks.news import Kind

#: Why a device gave way to another with its new token.
REPLACED = "replaced"


def connect() -> None:
    """Have workers of this process, if it is one, hand on what they learn."""
    for signal in (
        worker_signals.token_expired,
        worker_signals.token_replaced,
        worker_signals.rejected_late,
    ):
        signal.connect(on_news)


def on_news(entry: Mapping[str, Any], **_: Any) -> None:
    """Take one entry that a worker hands on.

    Raises:
        PushError: A receiver of Django's signals failed: the entry is to come again.
    """
    news = Entry.from_dict(entry)
    if not take([news]):
        raise PushError(f"news of {mask(news.token)}: a receiver failed, so they come again")


def take(entries: Sequence[Entry]) -> list[Entry]:
    """Bring the tables of devices up to date, and then tell the receivers of Django's signals.

    Args:
        entries: Of the feedback stream, the older first.

    Returns:
        The entries that are done with; of others a receiver has failed.

    Raises:
        django.db.DatabaseError: A database failed: no entry is done with.
    """
    for model in device_models():
        with transaction.atomic(using=router.db_for_write(model)):
            _update(model, entries)
    return [entry for entry in entries if signals.send(entry)]


def device_models() -> list[type[Device]]:
    """Return the installed models that have tokens in a table of their own."""
    return [
        model
        for model in apps.get_models()
        if issubclass(model, Device) and model._meta.get_field("token").model is model
    ]


def _update(model: type[Device], entries: Iterable[Entry]) -> None:
    for entry in entries:
        if entry.kind is Kind.EXPIRED:
            _expire(model, entry)
        elif entry.kind is Kind.REPLACED and entry.canonical_id:
            _replace(model, entry, entry.canonical_id)


def _expire(model: type[Device], entry: Entry) -> None:
    reason = (entry.reason or "")[:REASON_LENGTH]
    _meant(model, entry).update(is_active=False, inactive_reason=reason)


def _replace(model: type[Device], entry: Entry, canonical_id: str) -> None:
    seen_at = _stored(entry.seen_at)
    try:
        with transaction.atomic(using=router.db_for_write(model)):
            _meant(model, entry).update(token=canonical_id, registered_at=seen_at)
    except IntegrityError:  # a device has that token already
        _meant(model, entry).update(is_active=False, inactive_reason=REPLACED)
        # That one lives, if it was a provider who had called it dead, and not the app.
        _called(model, entry, canonical_id).filter(
            is_active=False, registered_at__lte=seen_at
        ).exclude(inactive_reason="").update(
            is_active=True, inactive_reason="", registered_at=seen_at
        )


def _meant(model: type[Device], entry: Entry) -> Any:
    """Return the rows that an entry is about: none if the token was registered again since."""
    known_at = _stored(entry.dead_since or entry.seen_at)
    return _called(model, entry, entry.token).filter(is_active=True, registered_at__lte=known_at)


def _called(model: type[Device], entry: Entry, token: str) -> Any:
    """Return the rows with a token of the entry's app."""
    return model._base_manager.using(router.db_for_write(model)).filter(
        provider=entry.provider, app=entry.app, token__in=spellings(entry.provider, token)
    )


def _stored(instant: datetime) -> datetime:
    """Return an instant as the database has it."""
    return instant if settings.USE_TZ else timezone.make_naive(instant)
