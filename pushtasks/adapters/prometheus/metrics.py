"""What a worker counts, under which names."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Gauges of several processes add up, and those of a dead one count no more.
_SUM: Final = "livesum"
_NEWEST: Final = "livemax"
#: Seconds.
_ANSWER_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CALL_BUCKETS: Final = (*_ANSWER_BUCKETS, 30.0, 60.0)

#: The instant that stands for an age until somebody asks; see `ages`.
ISSUED: Final = "pushtasks_provider_token_issued_timestamp_seconds"


class WeightedHistogram(Histogram):
    """A histogram that takes observations that are alike in one go."""

    def observe_many(self, amount: float, count: int) -> None:
        """Observe an amount so many times."""
        self._sum.inc(amount * count)
        place = next(n for n, bound in enumerate(self._upper_bounds) if amount <= bound)
        self._buckets[place].inc(count)


class Metrics:
    """All of them, empty."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        """Make them.

        Args:
            registry: Where to register them; None where processes share theirs in files.
        """
        app = ["provider", "app"]
        self.pushes = Counter(
            "pushtasks_pushes",
            "Pushes by how a try of them ended: accepted, rejected, not_sent, maybe_sent, or"
            " retried, which is tried again.",
            [*app, "outcome", "reason"],
            registry=registry,
        )
        self.in_flight = Gauge(
            "pushtasks_pushes_in_flight",
            "Pushes that have been handed to connections and are not answered yet.",
            app,
            registry=registry,
            multiprocess_mode=_SUM,
        )
        self.calls = Histogram(
            "pushtasks_send_seconds",
            "Time in which a push (kind single), or all pushes of a list or a chunk of a fan-out,"
            " were answered.",
            [*app, "kind"],
            registry=registry,
            buckets=_CALL_BUCKETS,
        )
        self.answers = WeightedHistogram(
            "pushtasks_answer_seconds",
            "Time from a request until its answer over HTTP/2; of answers that came together, that"
            " of the slowest.",
            ["server"],
            registry=registry,
            buckets=_ANSWER_BUCKETS,
        )
        self.connections = Gauge(
            "pushtasks_connections",
            "Connections to a provider that are open.",
            ["server"],
            registry=registry,
            multiprocess_mode=_SUM,
        )
        self.opened = Counter(
            "pushtasks_connections_opened",
            "Connections to a provider that were opened.",
            ["server"],
            registry=registry,
        )
        self.goaways = Counter(
            "pushtasks_goaways",
            "HTTP/2 connections that the provider has ended, by GOAWAY or by closing, and that"
            " others have replaced.",
            ["server"],
            registry=registry,
        )
        self.streams = Gauge(
            "pushtasks_streams",
            "HTTP/2 streams that are open.",
            ["server"],
            registry=registry,
            multiprocess_mode=_SUM,
        )
        self.late = Counter(
            "pushtasks_late_rejections",
            "Pushes that counted as accepted by the silence of a binary gateway, and were rejected"
            " after all.",
            [*app, "reason"],
            registry=registry,
        )
        self.failures = Counter(
            "pushtasks_task_failures",
            "Tasks that failed, by the exception that ended them.",
            ["task", "exception"],
            registry=registry,
        )
        self.issued = Gauge(
            ISSUED,
            "When the provider token in use was issued.",
            ["team_id", "key_id"],
            registry=registry,
            multiprocess_mode=_NEWEST,
        )


#: Metrics that are instants, and what they are shown as: how long ago that is.
AGES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        ISSUED: (
            "pushtasks_provider_token_age_seconds",
            "Age of the provider token that was last signed; Apple takes one for an hour.",
        )
    }
)
