"""What operators and their programs ask."""

import socket
import threading
import time

from celery import Celery
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from pushtasks.adapters.http import make_blueprint, readiness
from pushtasks.news import Tally
from pushtasks.store import current_store


def test_a_process_that_answers_lives(client):
    assert client.get("/healthz").json == {"status": "ok"}


def test_it_is_ready_when_broker_and_redis_answer(client):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json == {"status": "ready", "broker": "ok", "store": "ok"}


def test_it_is_not_when_they_are_away(make_app, free_port):
    app = Celery("host", broker=f"redis://:secret@127.0.0.1:{free_port}/0", backend="disabled://")
    app.conf.pushtasks = {}

    answer = make_app(app).test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json == {"status": "unready", "broker": "unreachable", "store": "unreachable"}


def test_it_says_so_in_time_when_they_do_not_answer(make_app, monkeypatch):
    monkeypatch.setattr(readiness, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        app = Celery("host", broker=f"redis://127.0.0.1:{port}/0", backend="disabled://")
        app.conf.pushtasks = {}
        client = make_app(app).test_client()

        started = time.monotonic()
        answer = client.get("/readyz")

    assert answer.status_code == 503
    assert time.monotonic() - started < 2


def test_many_who_ask_at_once_are_told_by_one_look(client, celery_app, monkeypatch):
    looks = []
    monkeypatch.setattr(readiness, "_ask_store", looks.append)
    threads = [threading.Thread(target=lambda: client.get("/readyz")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert looks == [celery_app]


def test_the_report_is_the_stores(client, celery_app):
    current_store(celery_app).note(Tally("apns", "default", attempts=2, accepted=2))

    report = client.get("/v1/report").json

    assert report["apns"]["default"]["accepted"] == 2
    assert list(report) == ["apns", "gcm", "stream"]


def test_a_redis_that_is_away_is_told_with_the_time_to_come_again(
    make_app, redis_server, free_port
):
    app = Celery("host", broker=redis_server.url(0), backend=redis_server.url(1))
    app.conf.pushtasks = {"redis_url": f"redis://:secret@127.0.0.1:{free_port}/0"}

    answer = make_app(app).test_client().get("/v1/report")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "secret" not in answer.text


def test_wrong_settings_are_told_as_the_servers_fault(make_app, redis_server):
    app = Celery("host", broker=redis_server.url(0), backend=redis_server.url(1))
    app.conf.pushtasks = {"apns": {"default": {"topik": "x"}}}

    answer = make_app(app).test_client().get("/v1/report")

    assert answer.status_code == 500
    assert "topik" in answer.json["detail"]


def test_a_fault_is_logged_and_not_shown(client, monkeypatch, caplog):
    monkeypatch.setattr("pushtasks.store.Store.report", lambda _: 1 / 0)

    answer = client.get("/v1/report")

    assert answer.status_code == 500
    assert answer.json["detail"] == "a fault of the server's; see its log"
    assert "ZeroDivisionError" in caplog.text


def test_a_blueprint_leaves_the_rest_of_its_application_alone(celery_app, stop_after_test):
    app = Flask("host")
    app.register_blueprint(make_blueprint(celery_app), url_prefix="/push")
    app.get("/mine")(lambda: "mine")
    client = app.test_client()
    stop_after_test(app)

    assert client.get("/mine").text == "mine"
    assert "X-Frame-Options" not in client.get("/mine").headers
    assert client.get("/push/healthz").json == {"status": "ok"}
    task = client.post("/push/v1/apns", json={"token": "00ff", "payload": "Hi"}).json["tasks"][0]
    assert client.get(task["url"]).json["state"] == "PENDING"
    refused = client.post("/push/v1/apns", json={})
    assert refused.content_type == "application/problem+json"


def test_metrics_are_those_of_the_whole_installation(client, celery_app):
    current_store(celery_app).note(Tally("apns", "default", attempts=2, accepted=2))
    client.post("/v1/apns", json={"token": "00ff", "payload": "Hi"})

    answer = client.get("/metrics")

    assert answer.content_type.startswith("text/plain; version=0.0.4")
    families = {one.name: one for one in text_string_to_metric_families(answer.text)}
    pushes = families["pushtasks_reported_pushes"].samples
    assert [(one.labels["outcome"], one.value) for one in pushes if one.value] == [("accepted", 2)]
    waiting = {one.labels["queue"]: one.value for one in families["pushtasks_queue_tasks"].samples}
    assert waiting["push"] == 1
