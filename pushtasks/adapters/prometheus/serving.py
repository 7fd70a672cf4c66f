"""Puts together what counts and what serves; it may be imported when the metrics may be made."""

from celery import Celery
from prometheus_client import CollectorRegistry, ProcessCollector

from pushtasks.adapters.prometheus.collectors import Build, Certificates, Counted
from pushtasks.adapters.prometheus.listener import Listener
from pushtasks.adapters.prometheus.metrics import Metrics
from pushtasks.adapters.prometheus.server import MetricsServer
from pushtasks.adapters.prometheus.shared import SharedFigures
from pushtasks.config import current_settings


def begin(celery_app: Celery, shared: SharedFigures | None) -> tuple[Listener, MetricsServer]:
    """Return what counts, and the server that shows it, which serves from now on.

    Args:
        celery_app: Whose settings name the address and the certificates.
        shared: Where processes share what they count; None if there is but this one.

    Raises:
        OSError: No address is free.
    """
    counted = CollectorRegistry()
    listener = Listener(Metrics(None if shared else counted))
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for collector in (Counted(shared or counted), Certificates(celery_app), Build()):
        registry.register(collector)
    return listener, MetricsServer(registry, current_settings(celery_app).metrics.addresses)
