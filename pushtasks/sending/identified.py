"""Logs what became of the pushes of a list that their caller calls by an identifier."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from pushtasks.config import ApnsApp
from pushtasks.masking import mask
from pushtasks.results import Outcome, Result
from pushtasks.sending.arguments import identifier_of, shown_token

logger = logging.getLogger(__name__)


def log_identified(
    app: ApnsApp,
    entries: Mapping[int, Any],
    settled: Iterable[tuple[int, Result]],
    left: Iterable[int],
) -> None:
    """Log a line for each push that has failed and has an identifier.

    With `log_successes`, also for each that was accepted. A list without identifiers costs nothing.

    Args:
        app: The app at Apple.
        entries: What was tried, by place in the caller's list.
        settled: Of these, what was not simply accepted, with its result.
        left: Of these, the places that wait for another try.
    """
    failed = dict(settled)
    for result in failed.values():
        if result.identifier is not None and result.outcome is not Outcome.ACCEPTED:
            logger.warning(
                "apns app %r: identifier %r, device %s: %s, %s (%s)",
                app.name,
                result.identifier,
                mask(result.token),
                result.outcome,
                result.reason,
                result.action,
            )
    if app.log_successes:
        _log_accepted(app, entries, {*failed, *left})


def _log_accepted(app: ApnsApp, entries: Mapping[int, Any], others: set[int]) -> None:
    for place, entry in entries.items():
        identifier = None if place in others else identifier_of(entry)
        if identifier is not None:
            logger.info(
                "apns app %r: identifier %r, device %s: accepted",
                app.name,
                identifier,
                mask(shown_token(entry)),
            )
