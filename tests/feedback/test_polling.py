"""Polls where they are called, of the emulator's feedback service and of answers in the stream."""

import socket
import ssl
import struct
import threading
import time
import tomllib
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import redis
import trustme
from celery import Celery

from pushtasks import InvalidPush, InvalidSettings, PollFailed, poll_feedback
from pushtasks.apns.feedback_service import Limits
from pushtasks.feedback import polling
from pushtasks.feedback.leases import leased
from pushtasks.feedback.poll_task import PollResult
from pushtasks.news import Kind, News
from pushtasks.store import current_store

PATHS = {"ca_file", "credentials", "key", "certificate", "certificate_key"}
SINCE = 1_400_000_000
NOW = datetime(2026, 5, 1, tzinfo=UTC)
CLOSED = "127.0.0.1:1"


@pytest.fixture
def settings(emulator):
    """The emulator's settings, for tests to change; its paths are absolute."""
    tables = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
    for table in (app for provider in tables.values() for app in provider.values()):
        for name in PATHS & table.keys():
            table[name] = str(emulator.directory / table[name])
    tables["gcm"]["relay"] = tables["gcm"].pop("classic")  # so that names are of one app
    return tables


@pytest.fixture
def make_host(redis_server):
    """(settings, redis_url) → a Celery app that has them."""
    redis_server.flush()
    made = []

    def make(settings, **urls):
        app = Celery("host", broker="memory://", set_as_current=True)
        app.conf.pushtasks = {"redis_url": redis_server.url(2), **settings, **urls}
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


@pytest.fixture
def host(make_host, settings):
    return make_host(settings)


@pytest.fixture
def store(host):
    return current_store(host)


@pytest.fixture
def dead(emulator):
    """(count, first=0) → so many devices on the feedback service's list."""
    emulator.control("DELETE", "/feedback")

    def put(count, first=0):
        numbers = range(first, first + count)
        records = [{"token": f"{n:064x}", "timestamp": SINCE + n} for n in numbers]
        emulator.control("POST", "/feedback", records)

    return put


@pytest.fixture
def on_the_list(emulator):
    """() → how many devices are left on that list."""
    return lambda: emulator.control("GET", "/feedback")["count"]


def of(result, provider, app):
    """Return what a result says of one app."""
    [found] = [one for one in result["apps"] if (one["provider"], one["app"]) == (provider, app)]
    return found


def expired(token, provider="apns", app="default", kind=Kind.EXPIRED):
    return News(
        kind, provider, app, token, seen_at=NOW, reason="Unregistered", dead_since=NOW, status=410
    )


# A feedback service ---------------------------------------------------------------------------


def test_what_the_service_tells_is_in_the_result_and_in_the_stream(dead, store, on_the_list):
    dead(2)

    result = poll_feedback("classic")

    assert type(result) is dict
    assert of(result, "apns", "classic") == {
        "provider": "apns",
        "app": "classic",
        "source": "feedback service",
        "found": 2,
        "expired": [
            {"token": f"{n:064x}", "dead_since": since, "reason": "Feedback"}
            for n, since in enumerate(["2014-05-13T16:53:20+00:00", "2014-05-13T16:53:21+00:00"])
        ],
        "error": None,
    }
    entries = store.entries()
    assert [(entry.kind, entry.provider, entry.app) for entry in entries] == [
        (Kind.EXPIRED, "apns", "classic")
    ] * 2
    assert entries[0].dead_since == datetime.fromtimestamp(SINCE, UTC)
    assert on_the_list() == 0


def test_an_empty_list_is_no_news(dead, store):
    result = poll_feedback()

    assert of(result, "apns", "classic").items() >= {"found": 0, "error": None}.items()
    assert store.entries() == []


def test_a_result_names_the_first_thousand_and_the_stream_has_all(dead, store):
    dead(1200)

    found = of(poll_feedback("classic"), "apns", "classic")

    assert (found["found"], len(found["expired"])) == (1200, 1000)
    assert [entry.token for entry in store.entries(count=2000)] == [
        f"{n:064x}" for n in range(1200)
    ]


def test_nothing_is_read_while_redis_is_away(make_host, settings, dead, on_the_list):
    make_host(settings, redis_url="redis://127.0.0.1:1/0")
    dead(3)

    with pytest.raises(PollFailed, match="Redis at 127"):
        poll_feedback("classic")

    assert on_the_list() == 3


def test_nothing_is_read_where_no_redis_is_set(make_host, settings, dead, on_the_list):
    make_host(settings, redis_url=None)
    dead(3)

    with pytest.raises(InvalidSettings, match="poll_feedback needs redis_url: reading empties"):
        poll_feedback()

    assert on_the_list() == 3


def test_a_redis_that_comes_back_finds_the_records_in_hand(host, store, redis_server):
    with redis.Redis(port=redis_server.port) as client:
        client.client_pause(1500, all=True)
    started = time.monotonic()

    polling._store(host, store, [expired("aa")])

    assert time.monotonic() - started > 1
    assert {entry.token for entry in store.entries()} == {"aa"}


def test_two_do_not_poll_an_app_at_a_time(host, store, dead, on_the_list):
    dead(3)

    with leased(store, "poll:apns:classic"):
        result = poll_feedback()

    assert "under way elsewhere" in of(result, "apns", "classic")["error"]
    assert on_the_list() == 3
    assert of(poll_feedback(), "apns", "classic")["found"] == 3


def test_an_app_that_cannot_be_polled_does_not_stop_the_others(make_host, settings, dead):
    settings["apns"]["away"] = {**settings["apns"]["classic"], "feedback": CLOSED}
    settings["apns"]["unsigned"] = {**settings["apns"]["classic"], "certificate": "/gone.pem"}
    make_host(settings)
    dead(1)

    result = poll_feedback()

    assert "refused" in of(result, "apns", "away")["error"]
    assert "apns.unsigned.certificate" in of(result, "apns", "unsigned")["error"]
    assert of(result, "apns", "classic").items() >= {"found": 1, "error": None}.items()
    assert of(result, "gcm", "default")["error"] is None


def test_if_no_app_can_be_polled_the_poll_has_failed(make_host, settings):
    settings["apns"]["classic"]["feedback"] = CLOSED
    make_host(settings)

    with pytest.raises(PollFailed, match=r"apns app 'classic': .*refused"):
        poll_feedback("classic")


def test_a_poll_that_failed_is_tried_again_and_in_the_end_has_failed(make_host, settings, caplog):
    settings["apns"]["classic"]["feedback"] = CLOSED
    make_host(settings)

    result = poll_feedback.apply(args=("classic",))

    assert (result.state, type(result.result)) == ("FAILURE", PollFailed)
    assert len([line for line in caplog.messages if line.startswith("feedback of")]) == 4


def test_the_name_in_the_certificate_can_be_another_than_the_address(make_host, settings, dead):
    dead(1)
    classic = settings["apns"]["classic"]
    settings["apns"]["named"] = {**classic, "feedback_hostname": "localhost"}
    settings["apns"]["wrong"] = {**classic, "feedback_hostname": "gateway.push.apple.com"}
    make_host(settings)

    assert of(poll_feedback("named"), "apns", "named")["found"] == 1
    with pytest.raises(PollFailed, match="certificate is not valid for 'gateway"):
        poll_feedback("wrong")


def test_a_gateway_of_ones_own_without_feedback_service_is_not_asked(make_host, settings):
    del settings["apns"]["classic"]["feedback"]
    make_host(settings)

    assert of(poll_feedback(), "apns", "classic")["source"] == "answers"


# A feedback service that misbehaves -----------------------------------------------------------


@pytest.fixture
def service(tmp_path, make_host, settings):
    """(speak) → the app `odd`, whose feedback service does as that function with its socket."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "odd.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    @contextmanager
    def serve(speak):
        def run():
            with listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as tls:
                speak(tls)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=run)
            thread.start()
            settings["apns"]["odd"] = {
                **settings["apns"]["classic"],
                "feedback": f"127.0.0.1:{listener.getsockname()[1]}",
                "ca_file": str(tmp_path / "odd.pem"),
            }
            yield make_host(settings)
            thread.join(10)

    return serve


def record(number):
    return struct.pack(">IH", SINCE + number, 32) + number.to_bytes(32)


@pytest.mark.parametrize(
    ("data", "found", "told"),
    [
        (record(0) + record(1)[:20], 1, "closed 20 bytes into a record"),
        (record(0) + bytes(6) + record(1), 1, "a device token of 0 bytes"),
        (b"HTTP/1.1 400 Bad Request\r\n", 0, "is it a feedback service?"),
    ],
)
def test_what_precedes_garbage_stands(data, found, told, service, redis_server):
    with service(lambda tls: tls.sendall(data)) as host:
        [poll] = polling.poll(host, "odd")

    assert poll.found == found == len(current_store(host).entries())
    assert told in poll.error


def test_what_precedes_a_silence_stands(service):
    over = threading.Event()

    def fall_silent(tls):
        tls.sendall(record(0))
        over.wait(10)

    with service(fall_silent) as host:
        [poll] = polling.poll(host, "odd", Limits(silence=0.3))
        over.set()

    assert (poll.found, "nothing came for 0.3 s" in poll.error) == (1, True)


def test_a_list_without_end_comes_to_an_end(service):
    over = threading.Event()

    def drip(tls):
        number = 0
        while not over.wait(0.02):
            tls.sendall(record(number := number + 1))

    with service(drip) as host:
        [poll] = polling.poll(host, "odd", Limits(silence=5, total=1))
        over.set()

    assert poll.found > 3
    assert "the list does not end within 1 s" in poll.error


def test_the_service_hears_nothing_and_sends_no_more_than_is_stored(service, monkeypatch):
    """While Redis takes its time, most of the list stays with the service."""
    sent, heard = [0], []
    redis_answers = threading.Event()
    is_storing = threading.Event()

    def speak(tls):
        tls.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        tls.settimeout(10)
        for number in range(5000):
            tls.sendall(record(number))
            sent[0] += 1
        tls.settimeout(0.1)
        with pytest.raises(TimeoutError):
            heard.append(tls.recv(1))

    def slow(*arguments):
        is_storing.set()
        assert redis_answers.wait(10)
        return polling_record(*arguments)

    polling_record = polling.record
    monkeypatch.setattr(polling, "record", slow)
    with service(speak) as host:
        polled = []
        thread = threading.Thread(target=lambda: polled.extend(polling.poll(host, "odd")))
        thread.start()
        assert is_storing.wait(10)
        before = -1
        while before != sent[0]:
            before = sent[0]
            time.sleep(0.2)
        redis_answers.set()
        thread.join(20)

    assert before < 1500
    assert (sent[0], polled[0].found, heard) == (5000, 5000, [])


# Answers to pushes ----------------------------------------------------------------------------


def test_what_answers_have_told_is_found_once(host, store):
    store.record([expired("aa"), expired("r1", "gcm"), expired("bb", kind=Kind.REJECTED_LATE)])

    first, second = poll_feedback(), poll_feedback()

    assert of(first, "apns", "default") == {
        "provider": "apns",
        "app": "default",
        "source": "answers",
        "found": 1,
        "expired": [{"token": "aa", "dead_since": NOW.isoformat(), "reason": "Unregistered"}],
        "error": None,
    }
    assert [one["token"] for one in of(first, "gcm", "default")["expired"]] == ["r1"]
    assert [one["found"] for one in second["apps"]] == [0] * 4


def test_each_app_goes_on_where_its_own_last_poll_ended(host, store):
    store.record([expired("aa"), expired("r1", "gcm", "relay")])
    poll_feedback("default")
    store.record([expired("bb"), expired("r2", "gcm", "relay")])

    result = poll_feedback()

    assert [one["token"] for one in of(result, "apns", "default")["expired"]] == ["bb"]
    assert [one["token"] for one in of(result, "gcm", "relay")["expired"]] == ["r1", "r2"]


def test_more_than_a_page_is_gathered_up_to_the_length_of_the_stream(host, store, monkeypatch):
    monkeypatch.setattr(polling, "PAGE", 10)
    store.record([expired(f"{n:02}") for n in range(25)])

    assert of(poll_feedback("default"), "apns", "default")["found"] == 25


# Calls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "told"),
    [
        ("nope", "app 'nope' is not in the settings .there are: classic, default, relay."),
        (3, "app: 3 is no name"),
    ],
)
def test_an_unknown_app_is_refused_at_the_call(app, told, host):
    with pytest.raises(InvalidPush, match=told):
        poll_feedback.delay(app)


@pytest.mark.parametrize("seconds", ["daily", 0])
def test_what_is_beats_alone_cannot_be_written_by_hand(seconds, host):
    with pytest.raises(InvalidPush, match="leave it out"):
        poll_feedback.delay(_once_within=seconds)


def test_without_any_app_there_is_nothing_to_do(make_host):
    make_host({})

    assert poll_feedback() == {"version": 1, "apps": []}


def test_calls_of_several_beats_are_one_occasion_and_calls_by_hand_are_not(dead, host):
    dead(1)

    def polled(task_id, **arguments):
        result = poll_feedback.apply(("classic",), arguments, task_id=task_id).get()
        return [one["found"] for one in result["apps"]]

    assert polled("one", _once_within=60) == [1]
    assert polled("two", _once_within=60) == []
    assert polled("one", _once_within=60) == [0]  # handed out again after its worker was killed
    assert polled("three") == [0]


def test_an_occasion_ends(dead, host, store):
    poll_feedback.apply(("classic",), {"_once_within": 0.05}, task_id="one")
    deadline = time.monotonic() + 5
    while not poll_feedback.apply(("classic",), {"_once_within": 0.05}, task_id="two").get()[
        "apps"
    ]:
        assert time.monotonic() < deadline


def test_logs_show_counts_and_no_devices():
    poll = polling.Poll("apns", "default", polling.SERVICE)
    poll.add(expired("aa" * 32))

    shown = repr(PollResult({"version": 1, "apps": [poll.to_dict()]}))

    assert "'found': 1, 'expired': '<1 devices>'" in shown
    assert "aaaaaa" not in shown
