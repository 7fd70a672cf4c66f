"""What observers are told of one try: the call to a provider, and what became of the pushes."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pushtasks import observers
from pushtasks.feedback.ledger import reason_of
from pushtasks.observers import End, Ended, Kind, Sending, Sent, Tried
from pushtasks.results import Outcome, Provider, Result, Verdict
from pushtasks.sending.delivery import Later


class Call:
    """The call to a provider in one try."""

    def __init__(self, provider: Provider, app: str, kind: Kind) -> None:
        self.provider = provider
        self.app = app
        self.kind = kind
        #: Seconds since 1970; None until it has been made under observers.
        self.started: float | None = None
        self.seconds: float | None = None

    def make(
        self, send: Callable[[Sequence[Any]], list[Verdict]], pushes: Sequence[Any]
    ) -> list[Verdict]:
        """Send, and tell when that begins and ends."""
        if not observers.registered:
            return send(pushes)
        what = (self.provider, self.app, self.kind, len(pushes))
        observers.tell(Sending(*what))
        self.started, began = time.time(), time.perf_counter()
        try:
            return send(pushes)
        finally:
            self.seconds = time.perf_counter() - began
            observers.tell(Sent(*what, self.seconds))

    def tell(
        self,
        accepted: int,
        others: Iterable[Result],
        later: Later | None,
        *,
        comes_again: bool,
        **more: Any,
    ) -> None:
        """Tell what became of the pushes.

        Args:
            accepted: Pushes that were simply accepted.
            others: Results of those that have ended otherwise.
            later: Those that have not.
            comes_again: Whether there is to be another try of these.
            more: Other fields of the record.
        """
        counts = Counter(_end_of(result) for result in others)
        if accepted:
            counts[End.ACCEPTED, None, None] += accepted
        if later:
            end = End.RETRIED if comes_again else End.NOT_SENT
            counts[end, later.reason, None] += len(later.places) or 1
        observers.tell(
            Tried(
                self.provider,
                self.app,
                kind=self.kind,
                ends=tuple(
                    Ended(end, count, reason, status)
                    for (end, reason, status), count in counts.items()
                ),
                started=self.started,
                seconds=self.seconds,
                **more,
            )
        )


def _end_of(result: Result) -> tuple[End, str | None, int | None]:
    end = End(result.outcome.value)
    if result.outcome is Outcome.ACCEPTED:
        return end, None, result.status
    if result.outcome is Outcome.REJECTED:
        return end, reason_of(result), result.status
    return end, result.reason, result.status
