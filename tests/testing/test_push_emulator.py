"""What a test sees of pushes that go to the pretend providers."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from celery import Celery, _state

from pushtasks import fanout, feedback, poll_feedback, send_apns, send_gcm
from pushtasks.config import load_settings
from pushtasks.testing import emulator

DEVICE = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def host():
    """A Celery app whose broker is not there."""
    app = Celery("host", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.pushtasks = {}
    before = _state._tls.current_app
    app.set_current()
    yield app
    _state._tls.current_app = before
    app.close()


def test_a_push_arrives_at_the_pretend_provider(push_emulator):
    result = send_apns.delay(DEVICE, "Hi").get()

    [push] = push_emulator.received()
    assert (push.service, push.token, push.payload) == ("apns", DEVICE, {"aps": {"alert": "Hi"}})
    assert (push.headers["apns-topic"], push.status, push.reason) == ("com.example.app", 200, None)
    assert (result["message_id"], push.is_accepted) == (push.headers["apns-id"], True)
    assert DEVICE not in repr(push)


def test_each_protocol_has_an_app(push_emulator):
    for app in ("default", "classic"):
        send_apns.delay(DEVICE, "Hi", app=app)
        send_gcm.delay("id-1", "Hi", app=app)

    services = [push.service for push in push_emulator.received()]
    assert services == ["apns", "fcm", "gateway", "gcm"]
    assert push_emulator.received("id-1")[1].service == "gcm"
    assert push_emulator.received(DEVICE.upper())[1].frame["priority"] == 10


def test_apps_of_the_settings_go_there_by_their_own_topic(push_emulator, host):
    key = {"key": "/no/such/key.p8", "key_id": "ABC1234567", "team_id": "TEAM654321"}
    host.conf.pushtasks = {"apns": {"shop": {**key, "topic": "com.shop.app"}}}

    send_apns.delay(DEVICE, "Hi", app="shop")

    assert push_emulator.received()[0].headers["apns-topic"] == "com.shop.app"


def test_devices_are_answered_as_the_test_says(push_emulator):
    since = datetime(2026, 1, 1, tzinfo=UTC)
    push_emulator.reject(DEVICE, "Unregistered", dead_since=since)
    push_emulator.replace("old", "new")

    dead = send_apns.delay(DEVICE, "Hi").get()
    renamed = send_gcm.delay("old", "Hi", app="classic").get()

    assert (dead["reason"], dead["dead_since"]) == ("Unregistered", since.isoformat())
    assert renamed["canonical_id"] == "new"
    assert [entry.kind for entry in feedback.read("test")] == ["expired", "replaced"]


def test_a_fault_strikes_and_is_gone_with_the_test(push_emulator):
    push_emulator.fault(service="apns", status=503, times=1)

    assert send_apns.delay(DEVICE, "Hi").get()["outcome"] == "accepted"
    assert [push.status for push in push_emulator.received()] == [503, 200]


def test_a_provider_is_healthy_again_in_the_next_test(push_emulator):
    assert push_emulator.received() == []
    assert send_apns.delay(DEVICE, "Hi").get()["outcome"] == "accepted"


def test_what_cannot_be_is_refused_in_words(push_emulator):
    with pytest.raises(ValueError, match="unknown key 'nonsense'"):
        push_emulator.fault(nonsense=1)
    with pytest.raises(ValueError, match="did you mean 'Unregistered'"):
        push_emulator.reject(DEVICE, "Unregisterd")
    with pytest.raises(ValueError, match="has no time zone"):
        push_emulator.reject(DEVICE, "Unregistered", dead_since=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(TimeoutError, match=r"0 of 1 pushes arrived within 0\.1 s"):
        push_emulator.wait_for(1, timeout=0.1)


def test_the_feedback_service_is_polled(push_emulator):
    since = datetime(2026, 1, 1, tzinfo=UTC)
    push_emulator.list_as_dead(DEVICE, since)

    found = poll_feedback.delay(app="classic").get()["apps"]

    assert [device["token"] for device in found[0]["expired"]] == [DEVICE]
    assert feedback.read("test")[0].dead_since == since


def test_fan_outs_need_no_redis(push_emulator):
    started = fanout.start("mixed", [("apns", DEVICE), ("gcm", "id-1")], "Hi")

    assert (started.state, started.accepted) == ("finished", 2)
    assert len(push_emulator.received()) == 2


def test_a_redis_that_the_test_names_is_used(push_emulator_running, redis_server, host):
    redis_server.flush()
    settings = {"redis_url": redis_server.url(0)}

    with emulator(settings, running=push_emulator_running):
        started = fanout.start("apns", [DEVICE], "Hi")
        assert fanout.wait(started.id, timeout=10).accepted == 1

    host.conf.pushtasks = settings
    assert fanout.status(started.id).accepted == 1


def test_another_process_finds_the_way_by_the_environment(push_emulator, tmp_path):
    code = f"from pushtasks import send_apns; print(send_apns({DEVICE!r}, 'Hi')['outcome'])"

    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        env=push_emulator.environment,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert ran.stdout == "accepted\n", ran.stderr
    assert push_emulator.wait_for(1)[0].token == DEVICE
    assert load_settings(None, environ=push_emulator.environment).configured


def test_a_proxy_of_the_environment_is_not_asked(push_emulator, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    send_apns.delay(DEVICE, "Hi")

    assert len(push_emulator.received()) == 1


def test_workers_of_the_test_may_do_the_work(push_emulator, host):
    host.conf.update(broker_url="memory://", result_backend="disabled")
    push_emulator.use_workers()

    send_apns.delay(DEVICE, "Hi")

    with host.connection_for_read() as connection, connection.SimpleQueue("push") as queue:
        assert queue.get(timeout=5).headers["task"] == "pushtasks.send_apns"
    assert push_emulator.received() == []
