"""What is shown beside what was counted: ages, expiry dates, the version."""

import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Final, Protocol

from celery import Celery
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from pushtasks.adapters.prometheus.metrics import AGES
from pushtasks.apns.certificate import certificate_expiry
from pushtasks.config import current_settings
from pushtasks.errors import InvalidSettings

#: Seconds for which an expiry date is believed before the certificate is read again.
CERTIFICATES_READ_EVERY: Final = 300.0


class Source(Protocol):
    """A registry, or another collector."""

    def collect(self) -> Iterable[Metric]:
        """Return metrics."""


class Counted:
    """What was counted, with instants shown as ages."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are to be shown."""
        for metric in self._source.collect():
            if metric.name in AGES:
                yield _aged(metric, time.time())
            else:
                metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
                yield metric


class Build:
    """Which version this is."""

    def collect(self) -> Iterator[Metric]:
        """Yield one gauge, always 1."""
        gauge = GaugeMetricFamily(
            "pushtasks_build_info", "The version of pushtasks, as a label.", labels=["version"]
        )
        gauge.add_metric([version("pushtasks")], 1)
        yield gauge


class Certificates:
    """When the certificates of the apps at Apple expire."""

    def __init__(self, celery_app: Celery) -> None:
        """Read nothing yet.

        Args:
            celery_app: Whose settings name the certificates.
        """
        self._celery_app = celery_app
        self._read_at = float("-inf")
        self._expiries: dict[str, float] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield one gauge; a certificate that cannot be read has no place in it."""
        if time.monotonic() - self._read_at > CERTIFICATES_READ_EVERY:
            self._expiries = _expiries(self._celery_app)
            self._read_at = time.monotonic()
        gauge = GaugeMetricFamily(
            "pushtasks_certificate_expiry_timestamp_seconds",
            "When the push certificate of an app expires.",
            labels=["app"],
        )
        for app, expires in self._expiries.items():
            gauge.add_metric([app], expires)
        yield gauge


def _aged(metric: Metric, now: float) -> Metric:
    name, documentation = AGES[metric.name]
    aged = Metric(name, documentation, "gauge")
    for sample in metric.samples:
        aged.add_sample(name, sample.labels, max(0.0, now - sample.value))
    return aged


def _expiries(celery_app: Celery) -> dict[str, float]:
    try:
        apps = current_settings(celery_app).apns.values()
    except InvalidSettings:  # whoever sends a push is told
        return {}
    found = {}
    for app in apps:
        try:
            expires = certificate_expiry(app)
        except InvalidSettings:
            continue
        if expires is not None:
            found[app.name] = expires.timestamp()
    return found
