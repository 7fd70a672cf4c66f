"""GoCM's addresses: what is taken, what is refused, and that the reports add up."""

import io
import json
import threading
import time

import pytest
from celery import Celery

from pushtasks.adapters.http import collecting, ledger
from pushtasks.adapters.http.collecting import Collector, ending_of
from pushtasks.adapters.http.ledger import Ending, Ledger
from pushtasks.errors import PushNotSent

NOTHING = {"attempts": 0, "failures": 0, "pending": 0, "canonicals": 0, "notregistered": 0}


def device(token, outcome="accepted", action="none", canonical_id=None):
    return {"token": token, "outcome": outcome, "action": action, "canonical_id": canonical_id}


DEAD = device("dead", "rejected", "drop_token")
OLD = device("old", action="replace_token", canonical_id="new")
BUSY = device("busy", "not_sent", "retry_later")


@pytest.fixture
def book(service):
    return service.ledger


def test_a_push_is_in_the_broker_and_counted_when_it_is_answered(client, queued):
    data = {"tokens": ["a", "b"], "payload": '{"title": "T"}'}

    answer = client.post("/gcm/send", data=data)

    assert (answer.status_code, answer.data) == (200, b"ok\n")
    assert answer.content_type == "text/html"
    assert queued("push") == 1
    assert client.get("/gcm/report").json == {**NOTHING, "attempts": 2, "pending": 1}


def test_its_older_name_of_the_field_is_taken_too(client, queued):
    """GoCM's README sends `token` in its Python example."""
    answer = client.post("/gcm/send", data={"token": ["a"], "payload": "{}"})

    assert answer.data == b"ok\n"
    assert queued("push") == 1


def test_a_long_list_goes_where_long_lists_go(client, queued):
    data = {"tokens": [f"token-{number:0150}" for number in range(5000)], "payload": "{}"}

    assert client.post("/gcm/send", data=data).data == b"ok\n"
    assert (queued("push"), queued("push.bulk")) == (0, 1)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "tokens: missing"),
        ({"payload": "{}"}, "tokens: missing"),
        ({"tokens": "a"}, "payload: missing"),
        ({"tokens": "a", "payload": ""}, "payload: missing"),
        ({"tokens": "a", "payload": "{"}, "payload is not JSON: Expecting property name"),
        ({"tokens": "a", "payload": "[1]"}, "payload: a JSON list; it must be an object"),
        ({"tokens": "a", "payload": '{"n": NaN}'}, "NaN is no value of JSON"),
        ({"tokens": "a", "payload": '{"from": "x"}'}, "'from'"),
        ({"tokens": "a", "payload": json.dumps({"x": "y" * 5000})}, "4096"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_line_and_counted_nowhere(
    client, queued, form, words
):
    answer = client.post("/gcm/send", data=form)

    assert answer.status_code == 400
    assert words in answer.text
    assert answer.text.count("\n") == 1
    assert queued("push") == 0
    assert client.get("/gcm/report").json == NOTHING


def test_a_body_of_more_than_the_limit_is_refused(make_app):
    client = make_app(body_limit=1000).test_client()

    assert client.post("/gcm/send", data={"tokens": "a" * 2000}).status_code == 413


def test_a_body_that_does_not_say_its_length_is_read_up_to_the_limit(make_app):
    """As gunicorn hands on what comes in chunks."""
    client = make_app(body_limit=1000).test_client()
    body = io.BytesIO(b"tokens=a&payload=%7B%7D&more=" + b"y" * 100_000)

    answer = client.post(
        "/gcm/send",
        input_stream=body,
        content_type="application/x-www-form-urlencoded",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert answer.status_code == 413
    assert body.tell() < 100_000


def test_a_broker_that_is_away_is_told_and_the_count_taken_back(make_app, redis_server, free_port):
    app = Celery("host", broker=f"redis://127.0.0.1:{free_port}/0", backend=redis_server.url(1))
    redis_server.flush()
    app.conf.pushtasks = {}
    app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0}
    client = make_app(app).test_client()

    answer = client.post("/gcm/send", data={"tokens": "a", "payload": "{}"})

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert client.get("/gcm/report").json == NOTHING


def test_what_cannot_be_counted_is_sent_all_the_same(make_app, redis_server, free_port, queued):
    redis_server.flush()
    app = Celery("host", broker=redis_server.url(0), backend=redis_server.url(1))
    app.conf.pushtasks = {"redis_url": f"redis://127.0.0.1:{free_port}/0"}
    client = make_app(app).test_client()

    assert client.post("/gcm/send", data={"tokens": "a", "payload": "{}"}).data == b"ok\n"
    assert queued("push") == 1
    assert client.get("/gcm/report").status_code == 503


def test_without_results_attempts_are_counted_and_nothing_pends(make_app, redis_server):
    redis_server.flush()
    app = Celery("host", broker=redis_server.url(0), backend="disabled://")
    app.conf.pushtasks = {}
    Ledger(app, "default").note("of-a-time-with-results", 1)
    client = make_app(app).test_client()

    client.post("/gcm/send", data={"tokens": ["a", "b"], "payload": "{}"})

    assert client.get("/gcm/report").json == {**NOTHING, "attempts": 3, "pending": 1}


@pytest.mark.parametrize("path", ["/gcm/report", "/gcm/report/"])
def test_reports_are_compact_json(client, path):
    text = '{"attempts":0,"failures":0,"pending":0,"canonicals":0,"notregistered":0}'

    assert client.get(path).text == text


def test_empty_lists_are_null(client):
    assert client.get("/gcm/report/canonical").text == '{"canonical_replacements":null}'
    assert client.get("/gcm/report/notregistered").text == '{"tokens":null}'


# What becomes of requests -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "result", "ending"),
    [
        ("PENDING", None, None),
        ("STARTED", {"pid": 1}, None),
        ("RETRY", PushNotSent("503"), None),
        ("FAILURE", PushNotSent("503"), Ending(failures=1)),
        ("REVOKED", None, Ending(failures=1)),
        ("SUCCESS", None, Ending()),
        ("SUCCESS", {"results": [device("a")]}, Ending()),
    ],
)
def test_an_ending_is_read_from_a_tasks_state(state, result, ending):
    found = ending_of(state, result)

    assert (found is None) == (ending is None)
    if ending:
        assert found.failures == ending.failures


@pytest.mark.parametrize(
    "result",
    [
        {"results": [device("a"), DEAD, OLD, BUSY]},
        {"accepted": 2, "failures": [DEAD, BUSY], "replacements": [OLD]},
    ],
)
def test_an_ending_is_read_from_either_kind_of_list(result):
    ending = ending_of("SUCCESS", result)

    assert ending.failures == 2
    assert list(ending.canonicals) == [("old", "new")]
    assert list(ending.notregistered) == ["dead"]


def test_results_come_true_in_the_report_once(client, celery_app, book, service):
    pending = book.note("an-id", 4)
    celery_app.backend.store_result("an-id", {"results": [device("a"), DEAD, OLD, BUSY]}, "SUCCESS")
    wait_for_none_pending(client)
    book.settle(pending, Ending(failures=9, notregistered=["dead"]))  # by somebody slow

    assert client.get("/gcm/report").json == {
        "attempts": 4,
        "failures": 2,
        "pending": 0,
        "canonicals": 1,
        "notregistered": 1,
    }
    replacements = {"canonical_replacements": [{"original": "old", "canonical": "new"}]}
    assert client.get("/gcm/report/canonical").json == replacements
    assert client.get("/gcm/report/canonical").json == {"canonical_replacements": None}
    assert client.get("/gcm/report/notregistered/").json == {"tokens": ["dead"]}
    assert client.get("/gcm/report/notregistered").json == {"tokens": None}
    assert client.get("/gcm/report").json["notregistered"] == 1


def wait_for_none_pending(client):
    deadline = threading.Event()
    timer = threading.Timer(20, deadline.set)
    timer.start()
    while client.get("/gcm/report").json["pending"]:
        assert not deadline.is_set(), "it pends for too long"
    timer.cancel()


@pytest.mark.parametrize("name", ["canonical", "notregistered"])
def test_a_list_is_not_emptied_by_who_does_not_read_it(client, celery_app, name):
    book = Ledger(celery_app, "default")
    book.settle(book.note("an-id", 2), Ending(canonicals=[("old", "new")], notregistered=["dead"]))

    answer = client.head(f"/gcm/report/{name}")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert (len(book.take_canonicals()), book.take_notregistered()) == (1, ["dead"])


def test_a_report_needs_no_result_backend(make_app, redis_server, free_port):
    redis_server.flush()
    backend = f"redis://127.0.0.1:{free_port}/0"
    app = Celery("host", broker=redis_server.url(0), backend=backend)
    app.conf.pushtasks = {"redis_url": redis_server.url(1)}
    Ledger(app, "default").note("an-id", 2)
    client = make_app(app).test_client()

    time.sleep(ledger.FIRST_LOOK / 1000)

    assert client.get("/gcm/report").json == {**NOTHING, "attempts": 2, "pending": 1}


def test_what_one_process_has_left_another_takes_up(celery_app, make_app):
    Ledger(celery_app, "default").note("an-id", 1)
    celery_app.backend.store_result("an-id", {"results": [DEAD]}, "SUCCESS")

    client = make_app().test_client()
    wait_for_none_pending(client)

    assert client.get("/gcm/report/notregistered").json == {"tokens": ["dead"]}


def test_a_collector_ends_with_its_application(celery_app, wait_for):
    collector = Collector(celery_app, Ledger(celery_app, "default"))
    before = set(threading.enumerate())
    collector.start()
    collector.start()
    [thread] = set(threading.enumerate()) - before

    del collector

    wait_for(lambda: not thread.is_alive())


def test_two_apps_have_two_reports(celery_app):
    one, other = Ledger(celery_app, "one"), Ledger(celery_app, "other")
    one.note("an-id", 3)

    assert one.report()["attempts"] == 3
    assert other.report() == NOTHING


def test_only_one_of_many_looks_for_a_result(celery_app, book, wait_for):
    book.note("an-id", 1)

    wait_for(lambda: book.due(10))

    assert book.due(10) == []


def test_what_was_given_up_counts_as_one_failure(client, book, service, wait_for, monkeypatch):
    monkeypatch.setattr(collecting, "GIVE_UP", 0.0)
    book.note("an-id", 5)

    def is_settled():
        service.collector.sweep(1)
        return not book.report()["pending"]

    wait_for(is_settled)

    assert book.report() == {**NOTHING, "attempts": 5, "failures": 1}


def test_lists_are_bounded_and_lose_the_oldest(celery_app, monkeypatch):
    monkeypatch.setattr(ledger, "_SETTLE", small(ledger._SETTLE, ledger.LIST_LIMIT, 10))
    book = Ledger(celery_app, "default")
    for number in range(4):
        ids = [f"{number}-{place}" for place in range(4)]
        book.settle(book.note(f"id-{number}", 4), Ending(failures=4, notregistered=ids))

    taken = book.take_notregistered()

    assert len(taken) == 10
    assert taken[-1] == "3-3"
    assert book.report()["notregistered"] == 16


def test_pending_requests_are_bounded_and_count_as_failed_beyond(celery_app, monkeypatch):
    monkeypatch.setattr(ledger, "_NOTE", small(ledger._NOTE, ledger.PENDING_LIMIT, 3))
    book = Ledger(celery_app, "default")
    for number in range(5):
        book.note(f"id-{number}", 1)

    assert book.report() == {**NOTHING, "attempts": 5, "failures": 2, "pending": 3}


def small(script, limit, instead):
    return type(script)(script.text.replace(str(limit), str(instead)))


def test_no_entry_is_lost_between_reading_a_report_and_emptying_it(client, celery_app):
    """As one fell between in GoCM, which emptied its lists after it had answered."""
    count, taken, ended = 400, [], threading.Event()

    def write(writer):
        book = Ledger(celery_app, "default")
        for number in range(count):
            name = f"{writer}-{number}"
            canonicals = [(name, f"{name}'")]
            book.settle(book.note(name, 1), Ending(1, canonicals, notregistered=[name]))

    def read():
        while not ended.is_set():
            taken.append(client.get("/gcm/report/notregistered").json["tokens"] or [])
            found = client.get("/gcm/report/canonical").json["canonical_replacements"] or []
            taken.append([one["original"] for one in found])

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    for thread in readers:
        thread.join()
    taken.append(client.get("/gcm/report/notregistered").json["tokens"] or [])
    found = client.get("/gcm/report/canonical").json["canonical_replacements"] or []
    taken.append([one["original"] for one in found])

    names = sorted(name for part in taken for name in part)
    assert names == sorted(f"{w}-{n}" for w in range(3) for n in range(count) for _ in range(2))
    assert len([part for part in taken if part]) > 2
