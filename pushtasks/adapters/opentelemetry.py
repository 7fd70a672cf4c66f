"""A span for each call to a provider, if the host traces with OpenTelemetry.

Only its API is used, and only if it is installed; where spans go is up to the host. With
`opentelemetry-instrumentation-celery` on both sides a trace leads from the request that sent a push
through the broker and the worker's task to the call to Apple or Google.

A process whose host has set no tracer provider by its first push hears of no other push.
"""

from typing import Final

from opentelemetry import trace
from opentelemetry.trace import (
    NoOpTracerProvider,
    ProxyTracerProvider,
    Span,
    SpanKind,
    Status,
    StatusCode,
)

from pushtasks import observers
from pushtasks.observers import End, Kind, Observer, Tried

_NANOSECONDS: Final = 1_000_000_000
#: Ends after which nothing is wrong, or nothing yet.
_WELL: Final = frozenset({End.ACCEPTED, End.RETRIED})


class Tracer(Observer):
    """Makes a span of each try, a child of what the thread is at: the task's span, if it has one.

    A span is named `push apns` or `push gcm` and tells the app, how many pushes ended how and, of a
    single push, reason and HTTP status. Device tokens and payloads are in none.
    """

    def tried(self, record: Tried) -> None:
        """Make a span, with the time that the call took; without a call there is none."""
        if isinstance(trace.get_tracer_provider(), ProxyTracerProvider | NoOpTracerProvider):
            observers.unregister(self)
            return
        if record.started is None or record.seconds is None:
            return
        began = int(record.started * _NANOSECONDS)
        span = trace.get_tracer("pushtasks").start_span(
            f"push {record.provider}", kind=SpanKind.CLIENT, start_time=began
        )
        if span.is_recording():
            _describe(span, record)
        span.end(began + int(record.seconds * _NANOSECONDS))


def start() -> Tracer:
    """Trace the pushes of this process, and of those that it forks; once, however often called."""
    observers.register(_tracer)
    return _tracer


_tracer: Final = Tracer()


def _describe(span: Span, record: Tried) -> None:
    span.set_attributes(
        {
            "pushtasks.provider": record.provider,
            "pushtasks.app": record.app,
            "pushtasks.kind": record.kind.value,
            "pushtasks.tries": record.tries,
            "messaging.batch.message_count": sum(ended.count for ended in record.ends),
        }
    )
    if record.environment:
        span.set_attribute("pushtasks.environment", record.environment)
    if record.fanout is not None and record.chunk is not None:
        span.set_attributes({"pushtasks.fanout": record.fanout, "pushtasks.chunk": record.chunk})
    if record.kind is Kind.SINGLE:
        _describe_single(span, record)
    else:
        _describe_many(span, record)


def _describe_single(span: Span, record: Tried) -> None:
    [ended] = record.ends
    span.set_attribute("pushtasks.outcome", ended.end.value)
    if ended.status is not None:
        span.set_attribute("http.response.status_code", ended.status)
    if ended.reason is not None:
        span.set_attribute("pushtasks.reason", ended.reason)
    if ended.end not in _WELL:
        span.set_attribute("error.type", ended.reason or ended.end.value)
        span.set_status(Status(StatusCode.ERROR, ended.reason))


def _describe_many(span: Span, record: Tried) -> None:
    counts = dict.fromkeys((ended.end for ended in record.ends), 0)
    for ended in record.ends:
        counts[ended.end] += ended.count
    span.set_attributes({f"pushtasks.{end.value}": count for end, count in counts.items()})
    if not counts.keys() & _WELL:  # not a single one
        reason = record.ends[0].reason
        span.set_attribute("error.type", reason or record.ends[0].end.value)
        span.set_status(Status(StatusCode.ERROR, reason))
