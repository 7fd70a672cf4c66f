"""Counts what the core tells."""

from functools import lru_cache
from typing import Any, Final

from celery import signals

from pushtasks.adapters.prometheus.metrics import Metrics
from pushtasks.adapters.prometheus.reasons import reason_label
from pushtasks.observers import (
    Answers,
    Connections,
    Observer,
    ProviderTokenMade,
    RejectedLate,
    Sending,
    Sent,
    Tried,
)

#: Combinations of labels of one metric that are found at once: it halves what a record costs.
_REMEMBERED: Final = 1024


class Listener(Observer):
    """Turns records into figures; the figures may be in files, so it may cross a fork."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        remember = lru_cache(_REMEMBERED)
        self._pushes = remember(metrics.pushes.labels)
        self._in_flight = remember(metrics.in_flight.labels)
        self._calls = remember(metrics.calls.labels)
        self._answers = remember(metrics.answers.labels)
        self._streams = remember(metrics.streams.labels)
        signals.task_failure.connect(self._failed, weak=False)

    def close(self) -> None:
        """Hear no more of tasks."""
        signals.task_failure.disconnect(self._failed)

    def sending(self, record: Sending) -> None:
        """Count pushes that are under way."""
        self._in_flight(record.provider, record.app).inc(record.count)

    def sent(self, record: Sent) -> None:
        """Count them as answered, and how long it took."""
        self._in_flight(record.provider, record.app).dec(record.count)
        self._calls(record.provider, record.app, record.kind.value).observe(record.seconds)

    def tried(self, record: Tried) -> None:
        """Count what became of them."""
        for ended in record.ends:
            reason = reason_label(ended.reason, ended.status)
            self._pushes(record.provider, record.app, ended.end.value, reason).inc(ended.count)

    def rejected_late(self, record: RejectedLate) -> None:
        """Count a rejection after the fact."""
        reason = reason_label(record.reason, 0)
        self._metrics.late.labels(record.provider, record.app, reason).inc()

    def connections(self, record: Connections) -> None:
        """Count connections and streams."""
        metrics, server = self._metrics, record.server
        if record.opened or record.closed:
            metrics.connections.labels(server).inc(record.opened - record.closed)
            metrics.opened.labels(server).inc(record.opened)
        if record.goaways:
            metrics.goaways.labels(server).inc(record.goaways)
        if record.streams:
            self._streams(server).inc(record.streams)

    def answers(self, record: Answers) -> None:
        """Count answers by the time that they took."""
        self._answers(record.server).observe_many(record.seconds, record.count)

    def provider_token_made(self, record: ProviderTokenMade) -> None:
        """Keep the instant."""
        self._metrics.issued.labels(record.team_id, record.key_id).set(record.issued_at)

    def _failed(self, sender: Any = None, exception: Any = None, **_: Any) -> None:
        name = getattr(sender, "name", "")
        if name.startswith("pushtasks."):
            self._metrics.failures.labels(name, type(exception).__name__).inc()
