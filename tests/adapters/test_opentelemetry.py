"""Spans of pushes, as a host sees them that traces with OpenTelemetry: the real SDK in memory."""

import threading
import tomllib

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks import PushNotSent, clients, observers
from pushtasks.adapters import opentelemetry
from pushtasks.observers import End, Ended, Kind, Tried

TOKEN, GONE, BUSY = "ab" * 32, "ef" * 32, "cd" * 32
PATHS = {"ca_file", "credentials", "key"}


@pytest.fixture(scope="module")
def provider():
    """The host's tracer provider; OpenTelemetry lets a process set one, once."""
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    return provider


@pytest.fixture
def exporter(provider):
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider.add_span_processor(processor)
    yield exporter
    processor.shutdown()


@pytest.fixture
def tracer():
    tracer = opentelemetry.start()
    yield tracer
    observers.unregister(tracer)


@pytest.fixture
def spans(exporter, tracer):
    """() → the spans of pushes so far."""
    return lambda: [s for s in exporter.get_finished_spans() if s.name.startswith("push ")]


@pytest.fixture
def settings(emulator):
    settings = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
    settings = {name: {"default": apps["default"]} for name, apps in settings.items()}
    for apps in settings.values():
        for name in PATHS & apps["default"].keys():
            apps["default"][name] = str(emulator.directory / apps["default"][name])
    settings["apns"]["default"]["retries"] = 0
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Unregistered"})
    emulator.control("PUT", f"/tokens/{BUSY}", {"reason": "Shutdown"})
    return settings


@pytest.fixture
def app(settings, redis_server):
    """A Celery app that sends to the emulator."""
    redis_server.flush()
    app = Celery("host", broker=redis_server.url(0), backend=redis_server.url(1))
    app.conf.pushtasks = settings
    app.conf.task_default_queue = "push"
    yield app
    clients.close()
    app.close()


@pytest.fixture
def send(app):
    """The tasks, called as functions."""
    return lambda name, *args: app.tasks[f"pushtasks.{name}"](*args)


def test_a_push_is_a_span_that_tells_what_became_of_it(send, spans):
    send("send_apns", TOKEN, "Hi")

    [span] = spans()
    assert (span.name, span.kind) == ("push apns", SpanKind.CLIENT)
    assert dict(span.attributes) == {
        "pushtasks.provider": "apns",
        "pushtasks.app": "default",
        "pushtasks.environment": "production",
        "pushtasks.kind": "single",
        "pushtasks.tries": 0,
        "pushtasks.outcome": "accepted",
        "messaging.batch.message_count": 1,
        "http.response.status_code": 200,
    }
    assert span.status.status_code is StatusCode.UNSET
    assert 0 < span.end_time - span.start_time < 10**10


@pytest.mark.parametrize(("token", "status"), [(GONE, 410), (BUSY, None)])
def test_a_push_that_failed_is_a_span_with_an_error(token, status, send, spans):
    if token == BUSY:
        with pytest.raises(PushNotSent):
            send("send_apns", token, "Hi")
    else:
        send("send_apns", token, "Hi")

    [span] = spans()
    reason = "Unregistered" if token == GONE else "Shutdown"
    assert span.attributes["pushtasks.reason"] == span.attributes["error.type"] == reason
    assert span.attributes.get("http.response.status_code") == status
    assert span.status.status_code is StatusCode.ERROR


def test_a_list_is_one_span_with_counts(send, spans):
    send("send_apns_many", [TOKEN, GONE, *(f"{n:064x}" for n in range(8))], "Hi")

    [span] = spans()
    assert span.attributes["pushtasks.accepted"] == 9
    assert span.attributes["pushtasks.rejected"] == 1
    assert span.attributes["messaging.batch.message_count"] == 10
    assert span.status.status_code is StatusCode.UNSET


def test_a_list_of_which_none_arrived_is_an_error(send, spans):
    send("send_apns_many", [GONE], "Hi")

    [span] = spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "Unregistered"


def test_no_span_holds_a_token_or_a_payload(send, spans):
    send("send_apns", GONE, "a secret birthday")
    send("send_apns_many", [TOKEN, GONE], "a secret birthday")

    text = "".join(span.to_json() for span in spans())
    assert len(spans()) == 2
    assert TOKEN[:7] not in text
    assert GONE[:7] not in text
    assert "birthday" not in text


def test_a_chunk_names_its_fanout_and_what_was_not_sent_is_no_span(tracer, spans):
    common = ("gcm", "default", "", Kind.CHUNK, (Ended(End.ACCEPTED, 3),))
    tracer.tried(Tried(*common, fanout="f00", chunk=7, started=1.5, seconds=0.25))
    tracer.tried(Tried(*common, fanout="f00", chunk=8))

    [span] = spans()
    assert (span.attributes["pushtasks.fanout"], span.attributes["pushtasks.chunk"]) == ("f00", 7)
    assert (span.start_time, span.end_time) == (1_500_000_000, 1_750_000_000)


@pytest.fixture
def instrumented():
    """Celery's own instrumentation, as a host switches it on."""
    instrumentor = CeleryInstrumentor()
    instrumentor.instrument()
    yield
    instrumentor.uninstrument()


@pytest.fixture
def _worker_logs_as_tests_do(monkeypatch):
    """Have a worker of this process leave its logging as it is, and the environment afterwards."""

    def leave_it(**_):
        return None

    for variable in ("CELERY_LOG_LEVEL", "CELERY_LOG_FILE"):
        monkeypatch.setenv(variable, "")
    setup_logging.connect(leave_it)
    yield
    setup_logging.disconnect(leave_it)


@pytest.mark.usefixtures("instrumented", "_worker_logs_as_tests_do")
def test_a_trace_leads_through_the_broker_to_the_provider(app, exporter, spans):
    tracer = trace.get_tracer("a web site")
    with (
        start_worker(app, pool="solo", perform_ping_check=False, queues="push,push.bulk"),
        tracer.start_as_current_span("POST /order") as request,
    ):
        result = app.tasks["pushtasks.send_apns"].delay(TOKEN, "Hi")
        assert wait(result)["outcome"] == "accepted"

    [push] = spans()
    by_id = {span.context.span_id: span for span in exporter.get_finished_spans()}
    run = by_id[push.parent.span_id]
    sent = by_id[run.parent.span_id]
    assert run.name == "run/pushtasks.send_apns"
    assert sent.name == "apply_async/pushtasks.send_apns"
    assert sent.parent.span_id == request.get_span_context().span_id
    assert len({span.context.trace_id for span in (push, run, sent)}) == 1
    assert TOKEN[:7] not in "".join(span.to_json() for span in by_id.values())


def wait(result):
    """Wait outside of the trace's thread, which Celery forbids in a task's."""
    found = []
    thread = threading.Thread(
        target=lambda: found.append(result.get(20, disable_sync_subtasks=False))
    )
    thread.start()
    thread.join(30)
    return found[0]


def test_where_the_host_does_not_trace_the_next_push_is_not_even_told(tracer, monkeypatch):
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)

    observers.tell(Tried("apns", "default", "", Kind.SINGLE, (Ended(End.ACCEPTED, 1),)))

    assert tracer not in observers.registered
