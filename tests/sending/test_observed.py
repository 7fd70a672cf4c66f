"""What observers hear of tries: each of them once, whatever way it ends."""

import json
import time
import tomllib
from pathlib import Path

import pytest
from celery import Celery

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks import InvalidSettings, PushNotSent, clients, observers
from pushtasks.feedback.late import rejected_late
from pushtasks.observers import End, Ended, Kind, Observer, RejectedLate
from pushtasks.results import Verdict
from pushtasks.store import current_store
from pushtasks.store.chunks import Work
from pushtasks.store.fanout_state import Spec

PATHS = {"ca_file", "certificate", "certificate_key", "credentials", "key"}
TOKEN, BUSY, GONE = "ab" * 32, "cd" * 32, "ef" * 32


class Ear(Observer):
    """Keeps what it hears."""

    def __init__(self):
        self.begun, self.over, self.tries, self.late, self.signed = [], [], [], [], []

    def sending(self, record):
        self.begun.append(record)

    def sent(self, record):
        self.over.append(record)

    def tried(self, record):
        self.tries.append(record)

    def rejected_late(self, record):
        self.late.append(record)

    def provider_token_made(self, record):
        self.signed.append(record)

    def ends(self):
        """Return how pushes ended, try by try."""
        return [set(record.ends) for record in self.tries]


@pytest.fixture
def ear():
    ear = Ear()
    observers.register(ear)
    yield ear
    observers.unregister(ear)


@pytest.fixture
def settings(emulator):
    settings = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
    for table in (app for provider in settings.values() for app in provider.values()):
        for name in PATHS & table.keys():
            table[name] = str(emulator.directory / table[name])
    settings["apns"]["default"]["retries"] = 1
    return settings


@pytest.fixture
def host(settings, emulator, redis_server):
    """A Celery app that sends to the emulator at once."""
    redis_server.flush()
    app = Celery("host", broker="memory://", set_as_current=True)
    app.conf.task_always_eager = True
    app.conf.pushtasks = {**settings, "redis_url": redis_server.url()}
    emulator.control("PUT", f"/tokens/{BUSY}", {"reason": "Shutdown"})
    emulator.control("PUT", f"/tokens/{GONE}", {"reason": "Unregistered"})
    yield app
    clients.close()
    app.close()


@pytest.fixture
def send(host):
    """(name, arguments …) → the result of that task, called as in a worker."""
    return lambda name, *args, **options: host.tasks[f"pushtasks.{name}"].delay(*args, **options)


@pytest.mark.usefixtures("host")
def test_without_observers_a_try_makes_no_record(send, monkeypatch):
    monkeypatch.setattr(observers, "tell", lambda record: pytest.fail(f"told {record}"))

    assert send("send_apns", TOKEN, "Hi").get()["outcome"] == "accepted"
    assert send("send_apns_many", [TOKEN], "Hi").get()["accepted"] == 1


def test_an_accepted_push_is_told_with_its_time_and_a_masked_token(ear, send):
    before = time.time()
    result = send("send_apns", TOKEN, "Hi")

    [tried] = ear.tries
    assert tried.ends == (Ended(End.ACCEPTED, 1, None, 200),)
    assert (tried.provider, tried.app, tried.environment) == ("apns", "default", "production")
    assert (tried.kind, tried.tries, tried.task_id) == (Kind.SINGLE, 0, result.id)
    assert tried.token == "ababab…"
    assert before <= tried.started <= time.time()
    assert 0 < tried.seconds < 10
    assert TOKEN not in repr((ear.tries, ear.begun, ear.over))


def test_a_call_is_told_when_it_begins_and_when_it_is_over(ear, send):
    send("send_gcm", ["one", "two"], "Hi")

    [begun], [over], [tried] = ear.begun, ear.over, ear.tries
    assert (begun.provider, begun.app, begun.kind, begun.count) == ("gcm", "default", "list", 2)
    assert (over.provider, over.app, over.kind, over.count) == ("gcm", "default", "list", 2)
    assert over.seconds == tried.seconds
    assert tried.environment == ""


def test_a_call_that_fails_is_over_all_the_same(ear, send, settings, tmp_path):
    account = json.loads(Path(settings["gcm"]["default"]["credentials"]).read_text())
    stranger = tmp_path / "stranger.json"
    stranger.write_text(json.dumps({**account, "client_email": "nobody@example.com"}))
    settings["gcm"]["default"]["credentials"] = str(stranger)

    result = send("send_gcm", "one", "Hi")

    assert isinstance(result.result, InvalidSettings)
    assert (len(ear.begun), len(ear.over), ear.tries) == (1, 1, [])


def test_a_push_that_is_retried_and_given_up_is_told_of_each_try(ear, send):
    result = send("send_apns", BUSY, "Hi")

    assert isinstance(result.result, PushNotSent)
    assert ear.ends() == [
        {Ended(End.RETRIED, 1, "Shutdown")},
        {Ended(End.NOT_SENT, 1, "Shutdown")},
    ]
    assert [tried.tries for tried in ear.tries] == [0, 1]


def test_a_function_call_that_cannot_come_again_is_not_sent(ear, host):
    with pytest.raises(PushNotSent):
        host.tasks["pushtasks.send_apns_many"]([BUSY, TOKEN], "Hi")

    [ends] = ear.ends()
    assert ends == {Ended(End.ACCEPTED, 1), Ended(End.NOT_SENT, 1, "Shutdown")}
    assert ear.tries[0].task_id is None


def test_a_list_is_told_once_with_all_that_ended_alike_together(ear, send):
    tokens = [f"{n:064x}" for n in range(5)]

    send("send_apns_many", [*tokens, GONE, GONE[:-1], BUSY], "Hi")

    first, second = ear.ends()
    assert first == {
        Ended(End.ACCEPTED, 5),
        Ended(End.REJECTED, 1, "Unregistered", 410),
        Ended(End.REJECTED, 1, "InvalidPush"),
        Ended(End.RETRIED, 1, "Shutdown"),
    }
    assert second == {Ended(End.NOT_SENT, 1, "Shutdown", 503)}
    assert {tried.kind for tried in ear.tries} == {Kind.LIST}
    assert {tried.token for tried in ear.tries} == {None}


def test_a_replaced_id_counts_as_accepted(ear, send, emulator):
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})

    send("send_gcm", "old", "Hi", app="classic")

    assert ear.ends() == [{Ended(End.ACCEPTED, 1, None, 200)}]


def test_a_device_that_is_known_to_be_dead_is_told_without_a_call(ear, send, settings):
    settings["apns"]["default"]["skip_dead"] = True

    send("send_apns", GONE, "Hi")
    send("send_apns", GONE, "Hi")

    assert len(ear.over) == 1
    [_, second] = ear.tries
    assert second.ends == (Ended(End.REJECTED, 1, "KnownDead"),)
    assert (second.started, second.seconds) == (None, None)


def test_a_chunk_is_told_as_a_whole(ear, host, send):
    fanouts = current_store(host).fanouts
    id_, _ = fanouts.create(Spec("apns", "default", "Hi"))
    work = Work([GONE, *(f"{n:064x}" for n in range(100))])
    fanouts.published(id_, 0, 101, 101, work=work.to_json())

    send("send_chunk", id_, 0)

    [tried] = ear.tries
    assert set(tried.ends) == {
        Ended(End.ACCEPTED, 100),
        Ended(End.REJECTED, 1, "Unregistered", 410),
    }
    assert (tried.kind, tried.fanout, tried.chunk) == (Kind.CHUNK, id_, 0)
    assert [(record.count, record.kind) for record in ear.over] == [(101, Kind.CHUNK)]


def test_a_mixed_chunk_is_told_by_provider(ear, host, send):
    fanouts = current_store(host).fanouts
    id_, _ = fanouts.create(Spec("mixed", "default", "Hi"))
    work = Work([["apns", TOKEN], ["gcm", "one"]])
    fanouts.published(id_, 0, 2, 2, work=work.to_json())

    send("send_chunk", id_, 0)

    assert [(tried.provider, tried.ends) for tried in ear.tries] == [
        ("apns", (Ended(End.ACCEPTED, 1),)),
        ("gcm", (Ended(End.ACCEPTED, 1),)),
    ]


def test_a_late_rejection_is_told_with_a_masked_token(ear, host):
    rejected_late(host, "default", TOKEN, Verdict(8, "InvalidToken"))

    assert ear.late == [RejectedLate("apns", "default", "InvalidToken", "ababab…")]


def test_a_provider_token_is_told_when_it_is_signed(ear, settings, send):
    before = time.time()
    send("send_apns", TOKEN, "Hi")
    send("send_apns", TOKEN, "Hi")

    [signed] = ear.signed
    app = settings["apns"]["default"]
    assert (signed.team_id, signed.key_id) == (app["team_id"], app["key_id"])
    assert before - 41 * 60 - 1 <= signed.issued_at <= before
