"""`pushtasks report` and `pushtasks feedback`, on a Redis with what workers would put there."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery

from pushtasks.config import load_settings
from pushtasks.news import Kind, News, Tally
from pushtasks.store import Store

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
TOKEN = "abcdef" + "0" * 58
NOWHERE = {"PUSHTASKS_BROKER_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture
def here(redis_server):
    """Variables that lead a command to an empty Redis."""
    redis_server.flush()
    return {"PUSHTASKS_BROKER_URL": redis_server.url(0)}


@pytest.fixture
def store(here, redis_server, tmp_path):
    """The store that the commands look into, in the database of results."""
    return Store(load_settings(None, environ={}, directory=tmp_path), redis_server.url(1))


def expired(token=TOKEN, app="default", minutes=0):
    return News(
        Kind.EXPIRED,
        "apns",
        app,
        token,
        seen_at=NOW + timedelta(minutes=minutes),
        reason="Unregistered",
        status=410,
        dead_since=NOW - timedelta(days=3),
    )


REPLACED = News(
    Kind.REPLACED, "gcm", "shop", "old-id-1234", seen_at=NOW, canonical_id="new-id-5678"
)
LATE = News(Kind.REJECTED_LATE, "apns", "classic", TOKEN, seen_at=NOW, reason="InvalidToken")


# pushtasks report ----------------------------------------------------------------------------


def test_a_report_shows_each_app_with_its_rejections_by_reason(pushtasks, here, store):
    rejected = {"Unregistered": 2, "BadTopic": 1}
    store.note(Tally("apns", "default", attempts=9, accepted=5, rejected=rejected, pending=1))
    store.note(Tally("gcm", "shop", attempts=4, accepted=4, canonical_ids=1, news=(REPLACED,)))

    ran = pushtasks("report", **here)

    assert ran.status == 0
    assert ran.rows[2:-2] == [
        ["apns.default", "9", "tried"],
        ["5", "accepted"],
        ["2", "rejected:", "Unregistered"],
        ["1", "rejected:", "BadTopic"],
        ["1", "wait", "for", "another", "try"],
        ["gcm.shop", "4", "tried"],
        ["4", "accepted"],
        ["1", "accepted", "for", "an", "id", "that", "has", "a", "successor"],
    ]
    assert "feedback stream: 1 of at most 100000 entries\n" in ran.out


def test_a_report_is_json_for_programs(pushtasks, here, store):
    store.note(Tally("apns", "default", attempts=1, accepted=1))

    report = pushtasks("report", "--json", **here).json()

    assert report["apns"]["default"]["accepted"] == 1
    assert report["stream"] == {"entries": 0, "length": 100_000, "lost": 0}
    assert report["queues"] == {"push": 0, "push.bulk": 0, "push.feedback": 0}


def test_tasks_that_wait_for_a_worker_are_counted_by_queue(pushtasks, here, redis_server):
    with Celery("host", broker=redis_server.url(0)) as app:
        for queue in ("push", "push", "push.bulk"):
            app.send_task("any.task", queue=queue)

    ran = pushtasks("report", **here)

    assert "wait for a worker: 2 in push, 1 in push.bulk, 0 in push.feedback" in ran.out
    assert "nothing was sent yet" in ran.out


def test_a_reset_shows_the_counters_a_last_time(pushtasks, here, store):
    store.note(Tally("apns", "default", attempts=1, accepted=1))

    shown = pushtasks("report", "--json", "--reset", **here).json()

    assert shown["apns"]["default"]["accepted"] == 1
    assert pushtasks("report", "--json", **here).json()["apns"]["default"]["accepted"] == 0


def test_a_broker_that_is_away_leaves_the_counters(pushtasks, here, store, redis_server):
    ran = pushtasks("report", PUSHTASKS_REDIS_URL=redis_server.url(1), **NOWHERE)

    assert ran.status == 0
    assert "redis://127.0.0.1:1/0 cannot be reached" in ran.err


# pushtasks feedback --------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["report", "feedback"])
def test_a_redis_that_is_away_is_told_in_a_line(command, pushtasks):
    ran = pushtasks(command, **NOWHERE)

    assert (ran.status, ran.out) == (1, "")
    assert ran.error.startswith("Redis at 127.0.0.1:1/1: ")


@pytest.mark.parametrize("command", ["report", "feedback", "check"])
def test_a_password_that_makes_a_url_unreadable_is_told_in_a_line_and_not_repeated(
    command, pushtasks
):
    ran = pushtasks(command, PUSHTASKS_BROKER_URL="redis://:sesame/cret@127.0.0.1:1/0")

    assert (ran.status, ran.out) == (2, "")
    assert "PUSHTASKS_BROKER_URL, is no URL whose port is a number" in ran.error
    assert "sesame" not in ran.err


@pytest.mark.parametrize("command", ["report", "feedback"])
def test_without_a_redis_the_setting_is_named(command, pushtasks):
    ran = pushtasks(command, PUSHTASKS_BROKER_URL="memory://", PUSHTASKS_RESULT_BACKEND="rpc://")

    assert ran.status == 2
    assert "set redis_url" in ran.error


def test_people_see_the_newest_last_and_only_the_beginnings_of_tokens(pushtasks, here, store):
    store.record([expired()])
    store.record([REPLACED])
    store.record([LATE])

    ran = pushtasks("feedback", "--count", "2", **here)

    assert [row[3:] for row in ran.rows[2:]] == [
        ["replaced", "gcm.shop", "old-id…", "is", "now", "new-id…"],
        ["rejected", "late", "apns.classic", "abcdef…", "InvalidToken"],
    ]
    assert TOKEN not in ran.out


def test_people_see_since_when_a_token_is_dead(pushtasks, here, store):
    store.record([expired()])

    ran = pushtasks("feedback", COLUMNS="120", **here)

    assert "Unregistered, dead since 28 Apr 12:30" in ran.out


def test_programs_get_an_object_a_line_with_tokens_in_full(pushtasks, here, store):
    store.record([expired(), REPLACED])

    lines = [json.loads(line) for line in pushtasks("feedback", "--json", **here).out.splitlines()]

    assert [(line["kind"], line["token"]) for line in lines] == [
        ("expired", TOKEN),
        ("replaced", "old-id-1234"),
    ]
    assert lines[0]["dead_since"] == "2026-04-28T12:30:00+00:00"


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (["--kind", "expired"], ["expired"] * 3),
        (["--kind", "expired", "--count", "1"], ["expired"]),
        (["--app", "classic"], ["expired", "rejected_late"]),
        (["--app", "nobody"], []),
    ],
)
def test_news_can_be_chosen(options, kinds, pushtasks, here, store):
    for news in (expired("aa"), expired("bb", "classic"), REPLACED, expired("cc"), LATE):
        store.record([news])

    ran = pushtasks("feedback", "--json", *options, **here)

    assert [json.loads(line)["kind"] for line in ran.out.splitlines()] == kinds


def test_no_news_are_no_failure(pushtasks, here):
    ran = pushtasks("feedback", **here)

    assert (ran.status, ran.out, ran.err) == (0, "", "no news about devices\n")


def test_a_group_gets_every_entry_once_and_others_get_it_too(pushtasks, here, store):
    store.record([expired(f"{n:02}") for n in range(5)])

    def handed_to(group, *options):
        ran = pushtasks("feedback", "--group", group, "--json", *options, **here)
        return [json.loads(line)["token"] for line in ran.out.splitlines()]

    assert handed_to("a", "--count", "2") == ["00", "01"]
    assert handed_to("a") == ["02", "03", "04"]
    assert handed_to("a") == []
    assert len(handed_to("b")) == 5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--group", "a"], "add --json"),
        (["--group", "a", "--json", "--kind", "expired"], "leave out --kind and --app"),
        (["--group", "pushtasks.handler", "--json"], "choose another"),
        (["--count", "0"], "--count"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_use(options, told, pushtasks, here):
    ran = pushtasks("feedback", *options, **here)

    assert ran.status == 2
    assert told in ran.error


@pytest.mark.parametrize("options", [[], ["--group", "billing"]])
def test_who_follows_gets_what_comes_and_ends_well(options, start, here, store):
    store.record([expired("aa")])
    process, first = start("feedback", "--follow", *options, **here)

    store.record([expired("bb")])
    second = json.loads(process.stdout.readline())

    assert [first["token"], second["token"]] == ["aa", "bb"]
    process.terminate()
    assert process.wait(10) == 0


def test_what_was_not_written_comes_again(start, pushtasks, here, store):
    """The reader of the pipe has gone before the lines that do not fit into it are written."""
    store.record([expired(f"{n:0200}") for n in range(900)])
    process, first = start("feedback", "--group", "a", **here)

    process.kill()
    process.wait(10)

    assert first["token"] == f"{0:0200}"
    assert store.group("a").own(1000, "0-0")[0].token == f"{0:0200}"
