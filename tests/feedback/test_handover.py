"""Deliveries to one consumer: at least once, one at a time, and no entry holds another up."""

import sys
import threading
from datetime import UTC, datetime

import pytest
import redis
from celery import Celery

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks import InvalidPush, signals
from pushtasks.feedback.consumers import HANDLER, HANDLER_TASK, SIGNALS
from pushtasks.feedback.handover import BUSY, deliver
from pushtasks.feedback.handover_task import deliver_what_was_left
from pushtasks.feedback.telling import record
from pushtasks.news import Kind, News
from pushtasks.store import current_store, keys, turns

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
OWNER = "task-1"


@pytest.fixture(autouse=True)
def _nobody_hears_signals(monkeypatch):
    """Other tests of this process may have connected to them, and would have news brought, too."""
    for signal in (signals.token_expired, signals.token_replaced, signals.rejected_late):
        monkeypatch.setattr(signal, "receivers", [])


@pytest.fixture
def client(redis_server):
    redis_server.flush()
    with redis.Redis.from_url(redis_server.url(), decode_responses=True) as client:
        yield client


@pytest.fixture
def make_app(client, redis_server):
    """(feedback settings) → a Celery app whose broker is Redis, with no worker."""
    apps = []

    def make(**settings):
        app = Celery("test", broker=redis_server.url(), set_as_current=False)
        app.conf.pushtasks = {"redis_url": redis_server.url(), "feedback": settings}
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.close()


@pytest.fixture
def handler():
    """What the handler is given, and what it may not be given without raising."""
    handler = sys.modules[__name__]
    handler.calls, handler.poison = [], set()
    return handler


def take(entries):
    handler = sys.modules[__name__]
    tokens = [entry["token"] for entry in entries]
    handler.calls.append(tokens)
    if handler.poison & set(tokens):
        raise RuntimeError("no")


@pytest.fixture
def app(make_app, handler):
    return make_app(handler=f"{__name__}.take")


@pytest.fixture
def store(app):
    return current_store(app)


@pytest.fixture
def bring(app, store):
    """(tokens) → news on the stream."""

    def bring(*tokens):
        record(app, store, [News(Kind.EXPIRED, "apns", "default", token, NOW) for token in tokens])

    return bring


def run(app, store, client, times=1):
    """Deliver as often, whatever pause is asked for; return the pauses."""
    pauses = []
    for _ in range(times):
        pauses.append(deliver(app, store, HANDLER, OWNER))
        client.delete(keys.pause(HANDLER))
    return pauses


def waiting(client):
    return client.llen("push.feedback")


def test_all_that_there_is_is_delivered_in_batches(app, store, bring, handler):
    bring(*(f"{number}" for number in range(250)))

    assert deliver(app, store, HANDLER, OWNER) is None
    assert [len(call) for call in handler.calls] == [100, 100, 50]
    assert deliver(app, store, HANDLER, OWNER) is None
    assert len(handler.calls) == 3


def test_a_batch_that_failed_comes_again_with_growing_pauses(app, store, bring, handler, client):
    bring("a", "b")
    handler.poison = {"a"}

    pauses = run(app, store, client, times=4)
    handler.poison = set()
    last = run(app, store, client)

    assert pauses == [5.0, 10.0, 20.0, 40.0]
    assert last == [None]
    assert handler.calls == [["a", "b"]] * 5
    assert client.get(keys.failures(HANDLER)) is None


def test_an_entry_that_cannot_be_taken_ends_up_alone_and_holds_nothing_up(
    app, store, bring, handler, client
):
    bring(*(f"{number}" for number in range(100)))
    handler.poison = {"42"}
    run(app, store, client, times=8)
    handler.calls.clear()
    bring("new")

    run(app, store, client)

    assert handler.calls == [["42"], ["new"]]
    assert client.xpending(keys.STREAM, HANDLER)["pending"] == 1


def test_many_entries_that_cannot_be_taken_hold_nothing_up_either(
    app, store, bring, handler, client
):
    bring(*(f"{number}" for number in range(20)))
    handler.poison = {"1", "2", "3", "4", "5", "12"}
    run(app, store, client, times=12)
    bring("new")
    run(app, store, client, times=2)
    taken = [token for call in handler.calls if not handler.poison & set(call) for token in call]
    handler.calls.clear()

    run(app, store, client, times=3)

    others = [str(number) for number in range(20) if str(number) not in handler.poison]
    assert sorted(taken) == sorted([*others, "new"])
    assert {token for call in handler.calls for token in call} == handler.poison
    assert client.xpending(keys.STREAM, HANDLER)["pending"] == 6


def test_after_a_consumer_has_failed_too_often_all_comes_again(app, store, bring, handler, client):
    tokens = [f"{number}" for number in range(400)]
    bring(*tokens)
    handler.poison = set(tokens)
    run(app, store, client)
    handler.poison = set()
    handler.calls.clear()

    pauses = run(app, store, client)

    assert pauses == [None]
    assert sorted(token for call in handler.calls for token in call) == sorted(tokens)
    assert client.get(keys.place(HANDLER)) is None


def test_a_consumer_that_fails_on_everything_is_soon_left_alone(app, store, bring, handler, client):
    tokens = {f"{number}" for number in range(1000)}
    bring(*tokens)
    handler.poison = tokens

    run(app, store, client)

    assert len(handler.calls) == 3


def test_news_do_not_bring_a_consumer_back_before_its_pause_is_over(
    app, store, bring, handler, client
):
    bring("a")
    handler.poison = {"a"}
    deliver(app, store, HANDLER, OWNER)
    client.delete(keys.wake(HANDLER))  # as a delivery does that news have sent meanwhile

    pause = deliver(app, store, HANDLER, "task-2")

    assert 0 < pause <= 5.0
    assert len(handler.calls) == 1


def test_one_delivery_is_on_its_way_however_many_news_there_are(app, bring, client):
    bring("a")
    bring("b")

    assert waiting(client) == 1


def test_a_delivery_ends_for_good_if_another_is_on_its_way(app, store, bring, handler, client):
    bring("a")
    handler.poison = {"a"}
    client.set(keys.lock(f"deliver:{HANDLER}"), "task-2")
    assert deliver(app, store, HANDLER, OWNER) == BUSY

    store.turn(HANDLER).begin()
    bring("b")
    client.delete(keys.lock(f"deliver:{HANDLER}"))
    handler.poison = {"a", "b"}
    first = deliver(app, store, HANDLER, OWNER)
    second = deliver(app, store, HANDLER, "task-3")

    assert first == 5.0
    assert second is None or second <= 5.0
    assert client.exists(keys.wake(HANDLER))


def test_two_deliveries_never_overlap(make_app, client, handler):
    entered, leave = threading.Event(), threading.Event()
    app = make_app(handler=f"{__name__}.wait_for_it")
    store = current_store(app)
    handler.wait_for_it = lambda _: entered.set() or leave.wait(10)
    store.record([News(Kind.EXPIRED, "apns", "default", "a", NOW)])
    first = threading.Thread(target=deliver, args=(app, store, HANDLER, "task-1"))
    first.start()
    assert entered.wait(10)

    assert deliver(app, store, HANDLER, "task-2") == BUSY
    leave.set()
    first.join(10)
    assert client.xpending(keys.STREAM, HANDLER)["pending"] == 0


def test_the_lock_of_a_delivery_that_was_killed_does_not_hold_its_second_coming_up(
    app, store, bring, handler
):
    bring("a")
    assert store.turn(HANDLER).claim(OWNER)

    assert deliver(app, store, HANDLER, "task-2") == BUSY
    store.turn(HANDLER).begin()
    assert deliver(app, store, HANDLER, OWNER) is None
    assert handler.calls == [["a"]]


def test_what_a_delivery_that_was_killed_had_in_hands_comes_first(app, store, bring, handler):
    bring("a", "b")
    store.group(HANDLER).take_new(1)
    bring("c")

    deliver(app, store, HANDLER, OWNER)

    assert handler.calls == [["a"], ["b", "c"]]


def test_only_entries_whose_receiver_raised_come_again(make_app, client):
    app = make_app()
    store = current_store(app)
    heard = []

    def listen(entry, **_):
        heard.append(entry["token"])
        if heard.count("b") == 1 and entry["token"] == "b":
            raise RuntimeError("no")

    signals.token_expired.connect(listen)
    try:
        record(app, store, [News(Kind.EXPIRED, "apns", "default", token, NOW) for token in "abc"])
        pause = deliver(app, store, SIGNALS, OWNER)
        client.delete(keys.pause(SIGNALS))
        last = deliver(app, store, SIGNALS, OWNER)
    finally:
        signals.token_expired.disconnect(listen)

    assert (pause, last) == (5.0, None)
    assert heard == ["a", "b", "c", "b"]


def test_a_task_of_the_host_is_sent_where_the_settings_say_without_showing_tokens(make_app, client):
    app = make_app(handler_task="host.on_feedback", handler_queue="theirs")
    store = current_store(app)
    record(app, store, [News(Kind.EXPIRED, "apns", "default", "very-secret", NOW)])

    assert deliver(app, store, HANDLER_TASK, OWNER) is None

    with app.connection() as connection:
        message = connection.default_channel.basic_get("theirs")
    assert message.headers["task"] == "host.on_feedback"
    assert message.headers["argsrepr"] == "(<1 entries>,)"
    [[entry]], _, _ = message.decode()
    assert (entry["token"], entry["kind"]) == ("very-secret", "expired")


def test_a_broker_that_takes_no_task_gets_it_again(make_app, client, caplog):
    app = make_app(handler_task="host.on_feedback", handler_queue="theirs")
    store = current_store(app)
    store.record([News(Kind.EXPIRED, "apns", "default", "a", NOW)])
    app.conf.broker_url = "redis://127.0.0.1:1/0"
    app.conf.broker_connection_timeout = 0.1
    app.conf.task_publish_retry = False

    assert deliver(app, store, HANDLER_TASK, OWNER) == 5.0
    assert client.xpending(keys.STREAM, HANDLER_TASK)["pending"] == 1
    assert "host.on_feedback could not be sent" in caplog.text


def test_a_function_that_does_not_exist_is_named(make_app, caplog):
    app = make_app(handler="nowhere.at_all")
    store = current_store(app)
    store.record([News(Kind.EXPIRED, "apns", "default", "a", NOW)])

    assert deliver(app, store, HANDLER, OWNER) == 5.0
    assert "feedback.handler nowhere.at_all failed" in caplog.text
    assert "No module named 'nowhere'" in caplog.text


def test_a_worker_that_starts_sends_for_what_was_left(app, store, bring, client):
    bring("a")
    client.delete("push.feedback")  # the delivery was lost with its process

    class Consumer:
        pass

    Consumer.app = app
    deliver_what_was_left(sender=Consumer)

    assert waiting(client) == 1


def test_a_worker_that_starts_where_nothing_is_left_sends_nothing(app, client):
    class Consumer:
        pass

    Consumer.app = app
    deliver_what_was_left(sender=Consumer)

    assert waiting(client) == 0


def test_an_unknown_consumer_is_refused_at_the_call(app):
    with pytest.raises(InvalidPush, match=r"'nobody' is unknown.*pushtasks\.handler"):
        app.tasks["pushtasks.deliver_feedback"].delay("nobody")


def test_a_worker_that_knows_no_consumer_says_what_is_missing(make_app, caplog):
    app = make_app()

    app.tasks["pushtasks.deliver_feedback"](HANDLER)

    assert "modules that connect to our signals" in caplog.text


def test_a_lock_outlives_no_delivery_for_long(app, store, client):
    store.turn(HANDLER).claim(OWNER)

    assert 0 < client.ttl(keys.lock(f"deliver:{HANDLER}")) <= turns.LOCK_AGE
