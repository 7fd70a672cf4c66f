"""What the whole installation has in common, as its Redis and its broker know it.

For `pushtasks serve`: one place tells it, however many workers there are. Nothing is kept between
two answers but when certificates expire.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from weakref import WeakKeyDictionary

from celery import Celery
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from pushtasks.adapters.broker import Unreachable, queue_of, tasks_waiting
from pushtasks.adapters.prometheus.collectors import Certificates
from pushtasks.adapters.prometheus.reasons import reason_label
from pushtasks.errors import InvalidSettings
from pushtasks.results import APNS, GCM
from pushtasks.store import Store, StoreUnavailable, current_store
from pushtasks.store.fanout_state import Fanout, State
from pushtasks.store.health import Health

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Fan-outs that are looked at, the newest.
FANOUTS: Final = 100

_APP: Final = ("provider", "app")
#: Counters of the report that say how pushes ended, and as which outcome they are shown.
_OUTCOMES: Final = ("accepted", "not_sent", "maybe_sent")
#: Other counters of the report: metric, and what it says.
_COUNTERS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "dead_tokens": ("pushtasks_dead_tokens", "Devices that a provider has named dead."),
        "canonical_ids": (
            "pushtasks_replaced_ids",
            "Pushes to registration ids that have a successor.",
        ),
        "late": (
            "pushtasks_reported_late_rejections",
            "Pushes that counted as accepted, and were rejected after their task had ended.",
        ),
        "held": (
            "pushtasks_held_rejections",
            "Rejections that a wrong environment may explain, and that kill no token so far.",
        ),
    }
)
#: One of each kind, to find out where they wait.
_TASKS: Final = ("send_apns", "send_apns_many", "poll_feedback")
_registries: WeakKeyDictionary[Celery, CollectorRegistry] = WeakKeyDictionary()


def store_metrics(celery_app: Celery) -> tuple[bytes, str]:
    """Return what the installation has in common, for Prometheus.

    What cannot be asked is left out, and `pushtasks_store_up` or `pushtasks_broker_up` is 0.

    Args:
        celery_app: Whose Redis, broker and settings to ask.

    Returns:
        The text, and its content type.
    """
    registry = _registries.get(celery_app)
    if registry is None:
        registry = CollectorRegistry()
        for collector in (_Kept(celery_app), _Waiting(celery_app), Certificates(celery_app)):
            registry.register(collector)
        _registries[celery_app] = registry
    return generate_latest(registry), CONTENT_TYPE


class _Kept:
    """What Redis keeps: the report, the feedback stream, fan-outs."""

    def __init__(self, celery_app: Celery) -> None:
        self._celery_app = celery_app

    def collect(self) -> Iterator[Metric]:
        """Yield nothing if there is to be no Redis."""
        metrics: list[Metric] = []
        try:
            store = current_store(self._celery_app)
            if store is None:
                return
            metrics = [*_of_store(store)]
        except (StoreUnavailable, InvalidSettings):
            yield _up("store", "Redis", is_up=False)
        else:
            yield _up("store", "Redis", is_up=True)
        yield from metrics


class _Waiting:
    """Tasks that wait in the broker."""

    def __init__(self, celery_app: Celery) -> None:
        self._celery_app = celery_app

    def collect(self) -> Iterator[Metric]:
        """Yield how many wait, by queue."""
        app = self._celery_app
        queues = dict.fromkeys(queue_of(app, app.tasks[f"pushtasks.{name}"]) for name in _TASKS)
        waiting: Mapping[str, int] | None
        try:
            waiting = tasks_waiting(app, queues)
        except Unreachable:
            waiting = None
        yield _up("broker", "the broker", is_up=waiting is not None)
        if waiting is not None:
            yield _gauge(
                "pushtasks_queue_tasks",
                "Tasks that wait for a worker; those that one has taken do not.",
                ("queue",),
                waiting,
            )


def _of_store(store: Store) -> Iterator[Metric]:
    report = store.report()
    counters = {
        (provider, app): counts
        for provider in (APNS, GCM)
        for app, counts in report[provider].items()
    }
    yield _pushes(counters)
    yield from _of_apps(counters)
    yield from _of_health(store.health(counters))
    yield from _of_stream(report["stream"])
    yield from _of_fanouts(store.fanouts.newest(FANOUTS))


def _pushes(counters: Mapping[tuple[str, str], Mapping[str, Any]]) -> Metric:
    metric = CounterMetricFamily(
        "pushtasks_reported_pushes",
        "Pushes of all workers by what became of them in the end, since the report was last reset.",
        labels=(*_APP, "outcome", "reason"),
    )
    for app, counts in counters.items():
        # A late rejection takes an accepted push back, which a counter must not.
        ended: Counter[tuple[str, str]] = Counter({("accepted", ""): counts["late"]})
        ended.update({(outcome, ""): counts[outcome] for outcome in _OUTCOMES})
        for reason, count in counts["rejected"].items():
            ended["rejected", reason_label(reason, 0)] += count
        for labels, count in ended.items():
            metric.add_metric((*app, *labels), count)
    return metric


def _of_apps(counters: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[Metric]:
    waiting = {app: counts["pending"] for app, counts in counters.items()}
    words = "Pushes of all workers that wait for another try."
    yield _gauge("pushtasks_pending_pushes", words, _APP, waiting)
    for name, (metric, words) in _COUNTERS.items():
        found = {app: counts[name] for app, counts in counters.items()}
        yield _counter(metric, words, _APP, found)


def _of_health(apps: Iterable[Health]) -> Iterator[Metric]:
    pauses = {(health.provider, health.app): health.pause for health in apps}
    words = "Time for which no worker sends, as the provider has asked."
    yield _gauge("pushtasks_pause_seconds", words, _APP, pauses)


def _of_stream(stream: Mapping[str, int]) -> Iterator[Metric]:
    words = "Entries of the feedback stream."
    yield _gauge("pushtasks_feedback_entries", words, (), {(): stream["entries"]})
    words = "Entries that the feedback stream keeps at the most."
    yield _gauge("pushtasks_feedback_entries_limit", words, (), {(): stream["length"]})
    words = "Entries that had to go before everybody had read them."
    yield _counter("pushtasks_feedback_entries_lost", words, (), {(): stream["lost"]})


def _of_fanouts(fanouts: Iterable[Fanout]) -> Iterator[Metric]:
    states = Counter({state.value: 0 for state in State})
    devices = Counter({"settled": 0, "outstanding": 0})
    for fanout in fanouts:
        states[fanout.state.value] += 1
        if not fanout.is_over:
            devices["settled"] += fanout.settled
            devices["outstanding"] += fanout.devices - fanout.settled
    words = f"Fan-outs, of the newest {FANOUTS}."
    yield _gauge("pushtasks_fanouts", words, ("state",), states)
    words = "Devices of fan-outs that are not over, as far as they have been read."
    yield _gauge("pushtasks_fanout_devices", words, ("state",), devices)


def _up(name: str, what: str, *, is_up: bool) -> Metric:
    return _gauge(f"pushtasks_{name}_up", f"Whether {what} answers.", (), {(): int(is_up)})


def _gauge(name: str, words: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    return _filled(GaugeMetricFamily(name, words, labels=labels), values)


def _counter(name: str, words: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    return _filled(CounterMetricFamily(name, words, labels=labels), values)


def _filled(metric: Any, values: Mapping[Any, float]) -> Metric:
    for labels, value in values.items():
        metric.add_metric((labels,) if isinstance(labels, str) else labels, value)
    filled: Metric = metric
    return filled
