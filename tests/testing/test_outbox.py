"""What a test sees of pushes that are kept instead of sent."""

import gc
import threading
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery, _state, chain, chord, group

from pushtasks import (
    InvalidPush,
    PushMaybeSent,
    PushNotSent,
    fanout,
    feedback,
    send_apns,
    send_apns_many,
    send_gcm,
    send_gcm_many,
    signals,
)
from pushtasks.config import current_settings
from pushtasks.store import current_store
from pushtasks.testing import box, outbox

DEVICE = "0123456789abcdef"
OTHER = "fedcba9876543210"


@pytest.fixture(autouse=True)
def host():
    """A Celery app whose broker and result backend are not there."""
    nowhere = "redis://127.0.0.1:1/0"
    app = Celery("host", broker=nowhere, backend=nowhere, set_as_current=False)
    app.conf.pushtasks = {}
    app.conf.broker_transport_options = {"socket_connect_timeout": 0.5, "max_retries": 0}
    before = _state._tls.current_app
    app.set_current()
    yield app
    _state._tls.current_app = before
    app.close()


def own_task(app, function):
    """Make a task of an app that no other app gets."""
    return app.task(function, name=function.__name__, shared=False)


def nothing(*_args):
    """Be a task."""


# What is kept -------------------------------------------------------------------------------------


def test_a_push_is_kept_as_the_wire_would_have_it(push_outbox):
    before = datetime.now(UTC)
    payload = {"aps": {"alert": "Hi"}, "order": 7}

    task = send_apns.delay(DEVICE.upper(), payload, push_type="voip", priority=5, expiration=60)

    [push] = push_outbox
    assert (push.provider, push.app, push.token, push.payload) == (
        "apns",
        "default",
        DEVICE,
        payload,
    )
    assert (push.topic, push.push_type, push.priority) == ("com.example.app.voip", "voip", 5)
    assert before < push.expiration - timedelta(seconds=60) < datetime.now(UTC)
    assert (push.task, push.task_id, push.apns_id) == ("pushtasks.send_apns", task.id, task.id)
    assert (push.environment, push.status, push.reason) == ("production", 200, None)
    assert push.is_accepted


def test_a_message_to_google_is_kept_without_its_target(push_outbox):
    send_gcm.delay(["id-1", {"topic": "news"}], {"data": {"a": "1"}, "time_to_live": 60})

    assert [push.token for push in push_outbox] == ["id-1", "topic:news"]
    assert push_outbox[0].payload["data"] == {"a": "1"}
    assert push_outbox[0].payload["android"] == {"ttl": "60s"}
    assert push_outbox[1].payload == push_outbox[0].payload


def test_a_message_of_the_legacy_protocol_is_kept_in_its_fields():
    with outbox({"gcm": {"default": {"protocol": "legacy"}}}) as pushes:
        send_gcm.delay("id-1", "Hi", dry_run=True)

    assert pushes[0].payload["notification"] == {"body": "Hi"}
    assert pushes[0].dry_run


def test_what_the_caller_says_of_the_delivery_is_kept(push_outbox):
    send_apns.apply_async((DEVICE, "Hi"), countdown=60, queue="slow")

    assert dict(push_outbox[0].options) == {"countdown": 60, "queue": "slow"}


def test_neither_token_nor_payload_is_in_a_repr(push_outbox):
    send_apns.delay(DEVICE, "secret")

    assert DEVICE not in repr(push_outbox)
    assert "secret" not in repr(push_outbox)
    assert "012345…" in repr(push_outbox)


def test_an_entry_cannot_be_changed(push_outbox):
    send_apns.delay(DEVICE, "Hi")

    with pytest.raises(AttributeError):
        push_outbox[0].token = OTHER


def test_entries_are_found_by_device_and_can_be_forgotten(push_outbox):
    send_apns_many.delay([DEVICE, OTHER, DEVICE], "Hi")

    assert push_outbox.to(DEVICE.upper()) == [push_outbox[0], push_outbox[2]]
    push_outbox.clear()
    assert push_outbox == []


def test_a_full_outbox_says_so(push_outbox, monkeypatch):
    monkeypatch.setattr(box, "LIMIT", 1)
    send_apns.delay(DEVICE, "Hi")

    task = send_apns.delay(DEVICE, "Hi")

    assert task.state == "FAILURE"
    assert str(task.result) == "outbox holds 1 pushes: clear() it now and then"


# What is checked ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (send_apns, ("no-hex", "Hi")),
        (send_apns, (DEVICE, {"aps": {"alert": "x" * 5000}})),
        (send_gcm, ("id-1", {"data": {"from": "x"}})),
        (send_apns_many, ([DEVICE] * 1001, "Hi")),
    ],
)
def test_what_production_refuses_is_refused(push_outbox, task, arguments):
    with pytest.raises(InvalidPush):
        task.delay(*arguments)

    assert push_outbox == []


def test_what_the_apps_protocol_cannot_carry_is_refused_in_the_task(push_outbox, host):
    certificate = {"protocol": "binary", "certificate": "missing.pem"}
    host.conf.pushtasks = {"apns": {"default": certificate}}

    task = send_apns.delay(DEVICE, "Hi", collapse_id="one")

    assert isinstance(task.result, InvalidPush)
    assert push_outbox == []


def test_apps_are_those_of_the_settings_and_their_keys_are_never_read(push_outbox, host):
    key = {"key": "/no/such/key.p8", "key_id": "ABC1234567", "team_id": "TEAM123456"}
    own = {"topic": "com.shop.app", "environment": "sandbox", "server": "https://127.0.0.1:1"}
    host.conf.pushtasks = {"apns": {"shop": {**key, **own}}}

    send_apns.delay(DEVICE, "Hi", app="shop")

    assert (push_outbox[0].topic, push_outbox[0].environment) == ("com.shop.app", "sandbox")
    with pytest.raises(InvalidPush, match="app 'default' is not in the apns settings"):
        send_apns.delay(DEVICE, "Hi")


def test_a_process_without_settings_may_name_any_app(push_outbox):
    result = send_gcm.delay("id-1", "Hi", app="whichever").get()

    assert (result["app"], push_outbox[0].app) == ("whichever", "whichever")


# How it can be sent -------------------------------------------------------------------------------


def test_every_way_to_call_a_task_leads_here(push_outbox, host):
    send_apns(DEVICE, "as a function")
    send_apns.apply(args=(DEVICE, "apply"))
    host.send_task("pushtasks.send_apns", (DEVICE, "by name"), queue="push")
    group(send_apns.s(DEVICE, "one"), send_apns.s(DEVICE, "of a group")).delay()
    host.conf.task_always_eager = True
    send_apns.delay(DEVICE, "eager")

    alerts = [push.payload["aps"]["alert"] for push in push_outbox]
    assert alerts == ["as a function", "apply", "by name", "one", "of a group", "eager"]


def test_callbacks_and_the_rest_of_a_chain_run_here_too(push_outbox, host):
    heard = []

    def note(result):
        heard.append(result["outcome"])

    def pass_on(result):
        return result

    note, pass_on = own_task(host, note), own_task(host, pass_on)
    push_outbox.reject(OTHER, "Unregistered")

    send_apns.apply_async((DEVICE, "Hi"), link=note.s())
    chain(send_apns.si(OTHER, "Hi"), pass_on.s(), pass_on.s(), note.s()).delay()
    chain(send_apns.si(DEVICE, "one"), send_apns.si(DEVICE, "two")).delay()

    assert heard == ["accepted", "rejected"]
    assert [push.payload["aps"]["alert"] for push in push_outbox[2:]] == ["one", "two"]


def test_an_errback_hears_of_a_push_that_is_given_up(push_outbox, host):
    heard = []

    def note(_request, error, _traceback):
        heard.append(type(error))

    note = own_task(host, note)
    push_outbox.reject(DEVICE, "ServiceUnavailable")

    send_apns.apply_async((DEVICE, "Hi"), link_error=note.s())

    assert heard == [PushNotSent]


def test_a_callback_that_is_not_known_here_is_warned_of(push_outbox, host):
    with pytest.warns(UserWarning, match="'elsewhere' is not known in this process"):
        send_apns.apply_async((DEVICE, "Hi"), link=host.signature("elsewhere"))


def test_a_chord_is_refused_in_words(push_outbox, host):
    host.conf.result_backend = "cache+memory://"
    done = own_task(host, nothing)

    with pytest.raises(NotImplementedError, match="task_always_eager"):
        chord([send_apns.s(DEVICE, "Hi"), send_apns.s(OTHER, "Hi")])(done.s())


def test_tasks_of_others_still_go_to_their_broker(push_outbox, host):
    host.conf.update(broker_url="memory://", result_backend="disabled")
    own = own_task(host, nothing)

    own.delay()

    with host.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        assert queue.get(timeout=5).headers["task"] == "nothing"


def test_threads_share_the_outbox(push_outbox, host):
    host.set_default()
    threads = [threading.Thread(target=send_apns.delay, args=(DEVICE, "Hi")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(push_outbox) == 8


def test_results_are_found_by_id_and_in_groups_and_chains(push_outbox, host):
    push_outbox.reject(OTHER, "ServiceUnavailable")

    one = send_apns.delay(DEVICE, "Hi")
    both = group(send_apns.s(DEVICE, "Hi"), send_gcm.s("id-1", "Hi")).delay()
    last = chain(send_apns.si(DEVICE, "one"), send_gcm.si("id-1", "two")).delay()
    lost = send_apns.delay(OTHER, "Hi")

    assert host.AsyncResult(one.id).get()["message_id"] == one.id
    assert [result["outcome"] for result in both.get()] == ["accepted", "accepted"]
    assert (last.get()["provider"], last.state) == ("gcm", "SUCCESS")
    assert host.AsyncResult(lost.id).state == "FAILURE"
    with pytest.raises(PushNotSent):
        host.AsyncResult(lost.id).get()


# What becomes of it -------------------------------------------------------------------------------


def test_a_rejected_device_has_the_result_of_production(push_outbox):
    since = datetime(2026, 1, 1, tzinfo=UTC)
    push_outbox.reject(DEVICE, "Unregistered", dead_since=since)

    result = send_apns.delay(DEVICE, "Hi").get()

    assert (result["outcome"], result["action"]) == ("rejected", "drop_token")
    assert result["dead_since"] == since.isoformat()
    assert (push_outbox[0].status, push_outbox[0].reason) == (410, "Unregistered")


def test_a_device_can_be_rejected_for_a_while(push_outbox):
    push_outbox.reject(DEVICE, "TooManyRequests", times=1)

    assert send_apns.delay(DEVICE, "Hi").get()["outcome"] == "accepted"
    assert [push.reason for push in push_outbox] == ["TooManyRequests", None]
    assert push_outbox[0].apns_id == push_outbox[1].apns_id


def test_a_push_that_is_never_taken_is_given_up(push_outbox, host):
    host.conf.task_eager_propagates = True  # not meant for tasks that are not eager
    push_outbox.reject(DEVICE, "ServiceUnavailable", retry_after=30)

    task = send_apns.delay(DEVICE, "Hi")

    with pytest.raises(PushNotSent, match=r"ServiceUnavailable \(try 6 of 6\)"):
        task.get()
    assert len(push_outbox) == 6


def test_an_answer_can_be_lost(push_outbox):
    push_outbox.lose_answer(DEVICE)

    with pytest.raises(PushMaybeSent):
        send_apns.delay(DEVICE, "Hi").get()


def test_a_device_can_be_accepted_again(push_outbox):
    push_outbox.reject(DEVICE, "BadDeviceToken")
    push_outbox.accept(DEVICE)

    assert send_apns.delay(DEVICE, "Hi").get()["outcome"] == "accepted"


def test_a_registration_id_can_have_a_successor(push_outbox):
    push_outbox.replace("old", "new")

    result = send_gcm_many.delay(["old", "other"], "Hi").get()

    assert [one["canonical_id"] for one in result["replacements"]] == ["new"]


def test_what_cannot_be_scripted_is_refused(push_outbox):
    with pytest.raises(ValueError, match="did you mean 'Unregistered'"):
        push_outbox.reject(DEVICE, "unregistered")
    with pytest.raises(ValueError, match="has no time zone"):
        push_outbox.reject(DEVICE, "Unregistered", dead_since=datetime(2026, 1, 1))  # noqa: DTZ001


# Feedback -----------------------------------------------------------------------------------------


def test_signals_and_readers_hear_of_devices(push_outbox):
    heard = []

    def hear(entry, **_):
        heard.append(entry["token"])

    signals.token_expired.connect(hear)
    push_outbox.reject(DEVICE, "Unregistered")

    send_apns.delay(DEVICE, "Hi")

    assert heard == [DEVICE]
    batch = feedback.read("billing")
    assert [(entry.kind, entry.token) for entry in batch] == [("expired", DEVICE)]
    assert list(feedback.read("billing", again_after=0.0)) == list(batch)
    batch.ack()
    assert not feedback.read("billing", again_after=0.0)
    assert feedback.read("other")[0].token == DEVICE


def test_known_dead_devices_are_left_out_until_they_are_forgotten(host):
    with outbox({"apns": {"default": {"skip_dead": True}}}) as pushes:
        pushes.reject(DEVICE, "Unregistered", times=1)
        send_apns.delay(DEVICE, "Hi")
        skipped = send_apns.delay(DEVICE, "Hi").get()
        forgotten = feedback.forget("apns", "default", [DEVICE, OTHER])
        send_apns.delay(DEVICE, "Hi")

    assert (skipped["reason"], forgotten, len(pushes)) == ("KnownDead", 1, 2)


# Fan-outs -----------------------------------------------------------------------------------------


def test_a_fan_out_is_over_when_it_is_published(push_outbox):
    push_outbox.reject(OTHER, "Unregistered")

    started = fanout.start("apns", [DEVICE, OTHER, "no-hex"], "Hi", chunk=2)

    assert (started.state, started.devices) == ("finished", 3)
    assert (started.accepted, started.rejected, started.invalid) == (1, 1, 1)
    assert [one["line"] for one in fanout.failures(started.id)] == [2, 3]
    assert [push.token for push in push_outbox] == [DEVICE, OTHER]
    assert fanout.recent() == [fanout.wait(started.id, timeout=1)]


def test_a_mixed_fan_out_with_a_key_is_sent_once(push_outbox):
    devices = [("apns", DEVICE), ("gcm", "id-1", {"payload": "own"})]

    first = fanout.start("mixed", devices, "Hi", key="news")
    second = fanout.start("mixed", devices, "Hi", key="news")

    assert first.id == second.id
    assert [(push.provider, push.token) for push in push_outbox] == [
        ("apns", DEVICE),
        ("gcm", "id-1"),
    ]


def test_a_fan_out_of_many_chunks_counts_each_device_once(push_outbox):
    tokens = [f"{number:016x}" for number in range(2500)]

    started = fanout.start("apns", iter(tokens), "Hi", chunk=500)

    assert (started.accepted, started.chunks_done) == (2500, 5)
    assert [push.token for push in push_outbox] == tokens


def test_devices_of_a_fan_out_are_tried_again_within_their_chunk(push_outbox):
    push_outbox.reject(DEVICE, "TooManyRequests", times=2)

    started = fanout.start("apns", [DEVICE, OTHER], "Hi")

    assert (started.accepted, started.retried) == (2, 2)
    assert [push.token for push in push_outbox] == [DEVICE, OTHER, DEVICE, DEVICE]


def test_feedback_comes_from_fan_outs_too(push_outbox):
    push_outbox.reject(DEVICE, "Unregistered")

    fanout.start("apns", [DEVICE, OTHER], "Hi")

    assert [entry.token for entry in feedback.read("billing")] == [DEVICE]


# Afterwards ---------------------------------------------------------------------------------------


def test_everything_is_as_before_afterwards(host):
    send_task, settings, store = Celery.send_task, current_settings(host), current_store(host)

    with outbox() as pushes:
        send_apns.delay(DEVICE, "Hi")
        assert current_settings(host) is not settings

    assert Celery.send_task is send_task
    assert current_settings(host) is settings
    assert current_store(host) is store
    assert len(pushes) == 1  # and can still be looked at


def test_an_outbox_is_not_kept_alive(host):
    with outbox() as pushes:
        send_apns.delay(DEVICE, "Hi")
    del pushes
    gc.collect()

    # not isinstance: it would have the lazy objects of other tests' Django made
    assert not [one for one in gc.get_objects() if issubclass(type(one), box.Outbox)]


def test_what_is_not_kept_in_memory_is_said(push_outbox, host):
    with pytest.raises(AttributeError, match=r"keeps no report in memory: .* a redis_url"):
        current_store(host).report()
