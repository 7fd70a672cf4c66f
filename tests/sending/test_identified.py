"""An identifier of the caller's is in results, news, signals and logs of the push that it names."""

import logging
import tomllib

import pytest
from celery import Celery

from pushtasks import InvalidPush, clients, feedback, send_apns_many, signals
from pushtasks.feedback.late import rejected_late
from pushtasks.feedback.telling import tell
from pushtasks.news import Tally
from pushtasks.results import Verdict
from pushtasks.sending.arguments import IDENTIFIER_LIMIT, apns_entry, identifier_of

LOGGER = "pushtasks.sending.identified"
DEAD, FINE, LATE = "ab" * 32, "cd" * 32, "ef" * 32


@pytest.fixture
def make_host(emulator, redis_server):
    """(…settings of `default`) → a Celery app that sends to the emulator; news are in Redis."""
    redis_server.flush()
    made = []

    def make(**values):
        settings = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())["apns"]
        for app in settings.values():
            for name in {"ca_file", "key", "certificate", "certificate_key"} & app.keys():
                app[name] = str(emulator.directory / app[name])
        settings["default"].update(values)
        celery_app = Celery("host", broker="redis://127.0.0.1:1/0", set_as_current=True)
        celery_app.conf.pushtasks = {"apns": settings, "redis_url": redis_server.url()}
        made.append(celery_app)
        emulator.control("PUT", f"/tokens/{DEAD}", {"reason": "Unregistered", "timestamp": 1})
        return celery_app

    yield make
    clients.close()
    for celery_app in made:
        celery_app.close()


def entries():
    return [[DEAD, {"identifier": 42}], [FINE, {"identifier": "order 7"}], LATE]


def test_a_result_names_what_failed_by_its_identifier(make_host):
    make_host()

    [failure] = send_apns_many(entries(), "Hi")["failures"]

    assert (failure["identifier"], failure["token"], failure["reason"]) == (
        42,
        DEAD,
        "Unregistered",
    )


def test_a_result_of_a_push_without_one_is_as_always(make_host):
    make_host()

    [failure] = send_apns_many([DEAD], "Hi")["failures"]

    assert "identifier" not in failure


def test_a_push_that_cannot_be_made_has_its_identifier_too(make_host):
    make_host()

    [failure] = send_apns_many([["no hex", {"identifier": 7}]], "Hi")["failures"]

    assert (failure["identifier"], failure["action"]) == (7, "fix_request")


def test_an_identifier_alone_leaves_the_notification_as_it_is(make_host, emulator):
    make_host()

    send_apns_many(entries()[1:], "Hi", collapse_id="all")

    assert {one["headers"]["apns-collapse-id"] for one in emulator.received()} == {"all"}
    assert {one["payload"]["aps"]["alert"] for one in emulator.received()} == {"Hi"}


def test_the_feedback_stream_and_signals_have_it(make_host):
    celery_app = make_host()
    heard = []

    def hear(entry, **_):
        heard.append(entry)

    send_apns_many(entries(), "Hi")
    [news] = feedback.read("billing", celery_app=celery_app)
    signals.token_expired.connect(hear)
    try:
        signals.send(news.to_dict())
    finally:
        signals.token_expired.disconnect(hear)

    assert (news.token, news.identifier) == (DEAD, 42)
    assert [entry["identifier"] for entry in heard] == [42]


def test_news_of_a_push_without_one_are_as_always(make_host):
    celery_app = make_host()

    send_apns_many([DEAD], "Hi")

    [news] = feedback.read("billing", celery_app=celery_app)
    assert news.identifier is None
    assert "identifier" not in news.to_dict()


def test_a_failure_is_logged_by_its_identifier_and_a_success_is_not(make_host, caplog):
    make_host()
    caplog.set_level(logging.INFO, LOGGER)

    send_apns_many(entries(), "Hi")

    [record] = [one for one in caplog.records if one.name == LOGGER]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        "apns app 'default': identifier 42, device ababab…: rejected, Unregistered (drop_token)"
    )


def test_successes_are_logged_where_the_settings_ask_for_it(make_host, caplog):
    make_host(log_successes=True)
    caplog.set_level(logging.INFO, LOGGER)

    send_apns_many(entries(), "Hi")

    lines = [one.getMessage() for one in caplog.records if one.levelno == logging.INFO]
    assert "apns app 'default': identifier 'order 7', device cdcdcd…: accepted" in lines
    assert DEAD not in caplog.text
    assert FINE not in caplog.text


def test_an_identifier_cannot_begin_a_line_of_its_own(make_host, caplog):
    make_host(log_successes=True)
    caplog.set_level(logging.INFO, LOGGER)

    send_apns_many([[FINE, {"identifier": "7\nERROR \ud800"}]], "Hi")

    [line] = [one.getMessage() for one in caplog.records if one.name == LOGGER]
    assert r"identifier '7\nERROR \ud800', device" in line


def test_what_waits_for_another_try_is_no_success_yet(make_host, emulator, caplog):
    make_host(log_successes=True)
    caplog.set_level(logging.INFO, LOGGER)
    emulator.control("PUT", f"/tokens/{FINE}", {"reason": "ServiceUnavailable"})

    with pytest.raises(Exception, match="ServiceUnavailable"):
        send_apns_many(entries(), "Hi")

    assert "order 7" not in caplog.text


@pytest.mark.parametrize(
    "identifier", [True, 1.5, None, [], {"a": 1}, "x" * (IDENTIFIER_LIMIT + 1)]
)
def test_what_names_no_push_is_refused(identifier):
    with pytest.raises(InvalidPush, match=r"^identifier: a"):
        apns_entry([FINE, {"identifier": identifier}])

    assert identifier_of([FINE, {"identifier": identifier}]) is None


def test_a_late_refusal_has_it(make_host):
    celery_app = make_host()
    tell(celery_app, Tally("apns", "classic", "production", attempts=2, accepted=2))

    rejected_late(celery_app, "classic", LATE, Verdict(8, "InvalidToken"), 42)

    batch = feedback.read("billing", celery_app=celery_app)
    assert {(one.kind.value, one.identifier) for one in batch} == {
        ("rejected_late", 42),
        ("expired", 42),
    }


@pytest.mark.parametrize("entry", [FINE, [FINE], [FINE, {}], [FINE, "identifier"], [], None, 7])
def test_an_entry_without_an_identifier_has_none(entry):
    assert identifier_of(entry) is None
