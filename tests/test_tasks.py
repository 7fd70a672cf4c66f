"""Tasks without a worker: run where they are called, eagerly or as plain functions."""

import tomllib

import pytest
from celery import Celery

from pushtasks import (
    InvalidPush,
    clients,
    send_apns,
    send_apns_many,
    send_fcm,
    send_gcm,
    send_gcm_many,
)

TOKEN = "ab" * 32


@pytest.fixture(autouse=True)
def host(emulator, redis_server):
    """A Celery app that sends to the emulator."""
    settings = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
    for provider in settings.values():
        for name in {"ca_file", "credentials", "key"} & provider["default"].keys():
            provider["default"][name] = str(emulator.directory / provider["default"][name])
    app = Celery("host", broker="redis://127.0.0.1:1/0", set_as_current=True)
    app.conf.pushtasks = settings
    yield app
    clients.close()
    app.close()


CALLS = [
    pytest.param(send_apns, TOKEN, {"outcome": "accepted"}, id="send_apns"),
    pytest.param(send_apns_many, [TOKEN, TOKEN], {"accepted": 2}, id="send_apns_many"),
    pytest.param(send_gcm, "id", {"outcome": "accepted"}, id="send_gcm"),
    pytest.param(send_fcm, ["a", "b"], {"success": 2}, id="send_fcm"),
    pytest.param(send_gcm_many, ["a", "b"], {"accepted": 2}, id="send_gcm_many"),
]


@pytest.mark.parametrize(("task", "devices", "expected"), CALLS)
def test_a_task_called_as_a_function_sends_and_returns_a_plain_dict(task, devices, expected):
    result = task(devices, "Hi")

    assert type(result) is dict
    assert result.items() >= expected.items()


@pytest.mark.parametrize(("task", "devices", "expected"), CALLS)
def test_an_eager_task_sends_at_once_and_needs_no_broker(host, task, devices, expected):
    host.conf.task_always_eager = True

    result = task.delay(devices, "Hi")

    assert result.state == "SUCCESS"
    assert type(result.get()) is dict
    assert result.get().items() >= expected.items()


def test_an_eager_task_is_tried_again_as_any_other(host, emulator):
    host.conf.task_always_eager = True
    script = {"reason": "ServiceUnavailable", "times": 1, "retry_after": 1}
    emulator.control("PUT", f"/tokens/{TOKEN}", script)

    assert send_apns.delay(TOKEN, "Hi").get()["outcome"] == "accepted"
    assert emulator.control("GET", "/received/count") == {"count": 2}


def test_a_wrong_argument_is_refused_however_the_task_is_called(host, emulator):
    with pytest.raises(InvalidPush, match="3 digits"):
        send_apns("abc", "Hi")
    host.conf.task_always_eager = True
    with pytest.raises(InvalidPush, match="3 digits"):
        send_apns.delay("abc", "Hi")
    assert emulator.received() == []
