"""What a try of a task tells, whatever way it ends."""

import tomllib

import pytest
from celery import Celery

from pushtasks import InvalidSettings, PushNotSent, clients, send_apns, send_apns_many, send_gcm
from pushtasks.store import current_store

TOKEN = "ab" * 32
BUSY = "cd" * 32


@pytest.fixture(autouse=True)
def host(emulator, redis_server):
    """A Celery app that sends to the emulator, and counts in Redis."""
    redis_server.flush()
    settings = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
    for provider in settings.values():
        for name in {"ca_file", "credentials", "key"} & provider["default"].keys():
            provider["default"][name] = str(emulator.directory / provider["default"][name])
    settings["apns"]["default"]["retries"] = 1
    app = Celery("host", broker="redis://127.0.0.1:1/0", set_as_current=True)
    app.conf.pushtasks = {**settings, "redis_url": redis_server.url()}
    emulator.control("PUT", f"/tokens/{BUSY}", {"reason": "Shutdown"})
    yield app
    clients.close()
    app.close()


@pytest.fixture
def counted(host):
    """() → the counters of the APNs app that are not zero."""

    def counted(provider="apns"):
        report = current_store(host).report()[provider]["default"]
        return {name: count for name, count in report.items() if count}

    return counted


def test_a_function_call_that_fails_leaves_nothing_pending(counted):
    with pytest.raises(PushNotSent):
        send_apns(BUSY, "Hi")
    with pytest.raises(PushNotSent):
        send_apns_many([TOKEN, BUSY], "Hi")

    assert counted() == {"attempts": 3, "accepted": 1, "not_sent": 2}


def test_a_task_that_used_up_its_tries_is_counted_once(host, counted):
    host.conf.task_always_eager = True

    assert send_apns.delay(BUSY, "Hi").state == "FAILURE"
    assert send_apns_many.delay([TOKEN, BUSY], "Hi").get()["not_sent"] == 1

    assert counted() == {"attempts": 3, "accepted": 1, "not_sent": 2}


def test_a_target_that_is_no_device_is_no_news(host, emulator, counted):
    for target in ("news", "gone"):
        emulator.control("PUT", f"/tokens/{target}", {"reason": "UNREGISTERED"})

    result = send_gcm(["gone", {"topic": "news"}], "Hi")

    assert result["failure"] == 2
    assert [entry.token for entry in current_store(host).entries()] == ["gone"]
    assert counted("gcm")["dead_tokens"] == 1


def test_a_device_whose_task_fails_before_its_next_try_is_pending_no_more(host, counted):
    task = host.tasks["pushtasks.send_apns_many"]
    again = {"tokens": [TOKEN, BUSY], "app": "default", "_progress": {"tries": 1}}

    task.on_failure(InvalidSettings("the key is gone"), "id", (), again, None)
    task.on_failure(PushNotSent("counted already"), "id", (), again, None)
    task.on_failure(InvalidSettings("x"), "id", (), {**again, "_progress": None}, None)

    assert counted() == {"pending": -2, "not_sent": 2}
