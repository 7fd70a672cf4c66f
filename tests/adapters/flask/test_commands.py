"""`flask push …`, as a user runs it: a process of its own, a real Redis, a worker, the emulator."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from flask import Flask

from pushtasks.adapters.flask import PushTasks
from pushtasks.store import current_store
from pushtasks.testing import emulator

FLASK = str(Path(sys.executable).with_name("flask"))
DEVICE = "0123456789abcdef"
SHOP = """
from flask import Flask, current_app

from pushtasks.adapters.flask import PushTasks

push = PushTasks()

@push.token_expired
def forget(entry):
    print("forget", current_app.name, entry.token)
    if entry.token == "bad0":
        raise LookupError("no such device")

def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env()
    push.init_app(app)
    return app
"""


@pytest.fixture
def run(tmp_path, redis_server, push_emulator_running):
    """(arguments, variables) → `flask push …` that has run to its end in an app's folder."""
    redis_server.flush()
    (tmp_path / "shop.py").write_text(SHOP)
    foreign = ("PUSHTASKS_", "CELERY_", "DJANGO_", "FLASK_")
    clean = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    variables = {
        "FLASK_APP": "shop",
        "FLASK_PUSHTASKS_BROKER_URL": redis_server.url(0),
        "FLASK_PUSHTASKS_CONFIG": str(push_emulator_running.directory / "pushtasks.toml"),
    }

    def begin(*arguments, **more):
        return subprocess.run(  # noqa: S603
            [FLASK, "push", *arguments],
            env={**clean, **variables, **more},
            cwd=tmp_path,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return begin


@pytest.fixture
def note_dead(redis_server, push_emulator_running):
    """(tokens) → these are dead, as a worker learns it and keeps it in Redis."""

    def note(*tokens):
        with (
            Celery("worker", broker=redis_server.url(0), set_as_current=False) as worker,
            emulator({"redis_url": redis_server.url(1)}, running=push_emulator_running) as one,
        ):
            for token in tokens:
                one.reject(token, "Unregistered")
            assert current_store(worker) is not None
            worker.tasks["pushtasks.send_apns_many"].delay(list(tokens), "Hi").get()

    return note


def test_a_push_is_sent_by_the_apps_settings(run):
    ran = run("send", "apns", DEVICE, "--alert", "Hi", "--direct", "--json")

    [task] = json.loads(ran.stdout)["tasks"]
    assert (task["result"]["outcome"], ran.returncode) == ("accepted", 0), ran.stderr


def test_the_group_has_help_and_names_its_commands(run):
    ran = run("--help")

    for name in ("send", "fanout", "report", "feedback", "check", "deliver"):
        assert f"\n  {name} " in ran.stdout
    assert "flask push deliver --follow" in run("deliver", "--help").stdout


def test_report_and_feedback_look_into_the_apps_redis(run, note_dead):
    note_dead("ab00", "cd00")

    report = json.loads(run("report", "--json").stdout)
    entries = [json.loads(line) for line in run("feedback", "--json").stdout.splitlines()]

    assert report["apns"]["default"]["rejected"] == {"Unregistered": 2}
    assert [entry["token"] for entry in entries] == ["ab00", "cd00"]


def test_news_are_delivered_once_and_again_where_a_function_raised(run, note_dead):
    note_dead("ab00", "bad0", "cd00")

    first, second = run("deliver"), run("deliver")

    calls = [line for line in first.stdout.splitlines() if line.startswith("forget")]
    assert calls == ["forget shop ab00", "forget shop bad0", "forget shop cd00"]
    assert "expired bad0: LookupError: no such device" in first.stdout
    assert (first.stdout.splitlines()[-1], first.returncode) == ("2 delivered, 1 failed", 1)
    assert second.stdout == "0 delivered, 0 failed\n"  # it comes again in a minute


def test_a_users_mistake_is_told_in_a_line(run):
    wrong = run("report", FLASK_PUSHTASKS__APNS__DEFAULT__TOPCI="x")

    assert wrong.returncode != 0
    assert "apns.DEFAULT.TOPCI" not in wrong.stderr
    assert "did you mean topic?" in wrong.stderr


def test_the_group_can_be_called_otherwise_or_left_out():
    other, none = Flask("other"), Flask("none")
    PushTasks(other, cli_group="notify")
    PushTasks(none, cli_group=None)

    assert (list(other.cli.commands), list(none.cli.commands)) == (["notify"], [])
