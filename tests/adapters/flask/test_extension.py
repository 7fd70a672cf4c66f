"""The Flask extension in one process, with an outbox."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from celery import Celery, _state
from celery import current_app as celery_current_app
from flask import Config, Flask, current_app, has_app_context

from pushtasks import InvalidSettings, fanout, host, send_apns, signals
from pushtasks.adapters.flask import PushTasks, context_task
from pushtasks.config import current_settings

DEVICE = "0123456789abcdef"
KEY = {"key": "none.p8", "key_id": "ABC1234567", "team_id": "TEAM123456"}
APPS = {"apns": {"default": {"topic": "com.shop.app", **KEY}}}


@pytest.fixture(autouse=True)
def celery_state(monkeypatch, tmp_path):
    """Forget afterwards which Celery app was made current, and find no settings meanwhile."""
    monkeypatch.chdir(tmp_path)
    before = _state._tls.current_app, _state.default_app
    _state._tls.current_app = _state.default_app = None
    yield
    _state._tls.current_app, _state.default_app = before


@pytest.fixture
def make(tmp_path):
    """(config, extension=…) → a Flask app with the extension."""

    def made(extension=None, name="shop", **config):
        app = Flask(name, root_path=str(tmp_path))
        app.config.update(config)
        (extension or PushTasks()).init_app(app)
        return app

    return made


def with_celery(app, **conf):
    """Give a Flask app a Celery app as Flask's documentation does."""
    celery_app = Celery(app.name, task_cls=context_task(app), set_as_current=False)
    celery_app.config_from_object({"broker_url": "memory://", **conf})
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"PUSHTASKS": APPS},
        {"PUSHTASKS_APNS": APPS["apns"]},
        {"PUSHTASKS": {"APNS": {"DEFAULT": {"TOPIC": "com.shop.app", **KEY}}}},
        {
            "PUSHTASKS_APNS__DEFAULT__TOPIC": "com.shop.app",
            **{f"PUSHTASKS_APNS__DEFAULT__{name.upper()}": value for name, value in KEY.items()},
        },
        {"PUSHTASKS": APPS, "PUSHTASKS_APNS__DEFAULT__TOPIC": "com.other.app"},
    ],
    ids=["nested", "table", "capitals", "flat", "nested first"],
)
def test_every_form_of_config_says_the_same(make, config, tmp_path):
    app = make(**config)

    with app.app_context():
        settings = current_settings(host.current_app())

    assert settings.apns["default"].topic == "com.shop.app"
    assert settings.apns["default"].key.get_secret_value() == str(tmp_path / "none.p8")


def test_a_file_is_read_that_the_config_names(make, tmp_path):
    (tmp_path / "push.toml").write_text('[gcm.default]\ncredentials = "account.json"\n')

    app = make(PUSHTASKS_CONFIG="push.toml", PUSHTASKS_GCM__DEFAULT__RETRIES=0)

    with app.app_context():
        found = current_settings(host.current_app()).gcm["default"]
    assert found.credentials.get_secret_value() == str(tmp_path / "account.json")
    assert found.retries == 0


def test_of_all_forms_the_first_that_says_a_thing_holds_and_the_rest_stays(
    make, tmp_path, monkeypatch
):
    file = """[apns.default]
topic = "com.file.app"
key_id = "FILE123456"
team_id = "FILE123456"
retries = 1
timeout = 7.0
[gcm.default]
credentials = "account.json"
"""
    (tmp_path / "push.toml").write_text(file)
    monkeypatch.setenv("FLASK_PUSHTASKS__APNS__DEFAULT__TOPIC", "com.environment.app")
    monkeypatch.setenv("FLASK_PUSHTASKS_APNS__DEFAULT__KEY", "env.p8")
    config = Config(str(tmp_path))
    config.update(
        PUSHTASKS={"apns": {"default": {"topic": "com.nested.app", "key_id": "NESTED1234"}}},
        PUSHTASKS_APNS={
            "default": {"topic": "com.table.app", "key": "none.p8"},
            "other": {"topic": "com.shop.other", **KEY},
        },
        PUSHTASKS_APNS__DEFAULT__RETRIES=2,
        PUSHTASKS_CONFIG="push.toml",
    )
    config.from_prefixed_env()

    with make(**config).app_context():
        settings = current_settings(host.current_app())

    app = settings.apns["default"]
    assert (app.topic, app.key_id, app.team_id) == (
        "com.environment.app",
        "NESTED1234",
        "FILE123456",
    )
    assert app.key.get_secret_value() == str(tmp_path / "env.p8")
    assert (app.retries, app.timeout) == (2, 7.0)
    assert (set(settings.apns), set(settings.gcm)) == ({"default", "other"}, {"default"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"PUSHTASKS": "x"}, "PUSHTASKS in Flask's config is a str; it must be a dict"),
        ({"PUSHTASKS_BROKER": "x"}, "PUSHTASKS_BROKER: unknown variable; did you mean"),
        ({"PUSHTASKS_APNS__DEFAULT__TOPIC": "a b"}, "apns.default.topic: 'a b' is wrong"),
        ({"PUSHTASKS_CONFIG": "none.toml"}, "none.toml cannot be read"),
        ({"PUSHTASKS": {"apns": {"a": {"topci": "x"}}}}, "did you mean topic?"),
    ],
)
def test_mistakes_are_told_when_the_app_is_made(make, config, message):
    with pytest.raises(InvalidSettings) as raised:
        make(**config)

    assert message in str(raised.value)


def test_a_config_without_pushtasks_is_a_web_process_that_knows_no_apps(make):
    app = make()

    with app.app_context():
        assert not current_settings(host.current_app()).configured


# Which Celery app ---------------------------------------------------------------------------------


def test_pushes_go_by_the_apps_own_celery_app(make):
    app = make(PUSHTASKS=APPS)
    celery_app = with_celery(app)

    with app.app_context():
        assert host.current_app() is celery_app
    assert current_settings(celery_app).apns["default"].topic == "com.shop.app"


def test_a_worker_knows_the_settings_whichever_was_made_first(tmp_path):
    first, second = Flask("first", root_path=str(tmp_path)), Flask("second")
    push, settings = PushTasks(), {"apns": {"default": {**APPS["apns"]["default"], **KEY}}}
    first.config["PUSHTASKS"] = second.config["PUSHTASKS"] = settings

    push.init_app(first)
    celery_apps = [with_celery(first), with_celery(second)]
    push.init_app(second)

    for celery_app in celery_apps:
        celery_app.finalize()  # as a worker does
        assert celery_app.conf.pushtasks["apns"]["default"]["topic"] == "com.shop.app"


def test_an_app_without_celery_gets_one_with_the_broker_of_its_config(make, monkeypatch):
    monkeypatch.setenv("PUSHTASKS_VISIBILITY_TIMEOUT", "77")
    app = make(PUSHTASKS_BROKER_URL="redis://push.example:6379/3")

    with app.app_context():
        celery_app = host.current_app()

    assert celery_app.conf.broker_url == "redis://push.example:6379/3"
    assert celery_app.conf.result_backend == "redis://push.example:6379/1"
    assert celery_app.conf.broker_transport_options["visibility_timeout"] == 77
    assert celery_app.conf.task_routes["pushtasks.*_many"] == {"queue": "push.bulk"}
    with app.app_context():
        assert host.current_app() is celery_app


def test_a_broker_for_pushes_comes_before_the_apps_own_celery_app(make):
    app = make(PUSHTASKS=APPS, PUSHTASKS_BROKER_URL="memory://push")
    own = with_celery(app)

    with app.app_context():
        assert host.current_app() is not own
        assert host.current_app().conf.broker_url == "memory://push"
    assert current_settings(own).configured  # for its workers, which may do the work


def test_the_celery_app_can_be_given(tmp_path):
    given = Celery("given", broker="memory://", set_as_current=False)
    app = Flask("shop", root_path=str(tmp_path))
    push = PushTasks(app, celery=given)

    assert push.celery is given
    with app.app_context():
        assert host.current_app() is given


def test_apps_in_one_process_do_not_meddle_with_each_other(make, push_outbox):
    push = PushTasks()
    shop = make(push, "shop", PUSHTASKS=APPS, PUSHTASKS_BROKER_URL="memory://shop")
    bank_apps = {"apns": {"default": {"topic": "com.bank.app", **KEY}}}
    bank = make(push, "bank", PUSHTASKS=bank_apps)
    with_celery(bank)

    for app in (shop, bank):
        with app.app_context():
            send_apns.delay(DEVICE, app.name)

    assert [(one.topic, one.payload["aps"]["alert"]) for one in push_outbox] == [
        ("com.shop.app", "shop"),
        ("com.bank.app", "bank"),
    ]
    with shop.app_context():
        shops = push.celery
    assert shops.conf.broker_url == "memory://shop"
    with pytest.raises(InvalidSettings, match="no Flask app is at work here"):
        _ = push.celery


def test_one_celery_app_cannot_have_the_settings_of_two(make):
    shared = Celery("shared", broker="memory://", set_as_current=False)
    shop, bank = Flask("shop"), Flask("bank")
    shop.config["PUSHTASKS"] = APPS
    bank.config["PUSHTASKS"] = {"apns": {"default": {"topic": "com.bank.app", **KEY}}}
    PushTasks(shop, celery=shared)

    with pytest.raises(InvalidSettings, match="'shared' has other settings of pushtasks already"):
        PushTasks(bank, celery=shared)


def test_a_thread_outside_of_any_context_finds_the_only_app(tmp_path):
    code = """
import threading
from flask import Flask
from pushtasks import host
from pushtasks.adapters.flask import PushTasks

app = Flask("shop")
app.config["PUSHTASKS_BROKER_URL"] = "memory://shop"
expected = PushTasks(app).celery
thread = threading.Thread(target=lambda: print(host.current_app() is expected))
thread.start()
thread.join()
"""

    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, check=False
    )

    assert ran.stdout == "True\n", ran.stderr


def test_other_peoples_current_celery_app_is_left_alone(make):
    own = Celery("own", broker="memory://")
    app = make(PUSHTASKS_BROKER_URL="memory://push")

    with app.app_context():
        send = host.current_app()
        assert celery_current_app._get_current_object() is own
    assert send is not own


# Tasks --------------------------------------------------------------------------------------------


def test_a_view_pushes(make, push_outbox):
    app = make(PUSHTASKS=APPS)
    app.add_url_rule("/ship", view_func=lambda: send_apns.delay(DEVICE, "On its way").id)

    task_id = app.test_client().get("/ship").text

    assert [(one.task_id, one.topic) for one in push_outbox] == [(task_id, "com.shop.app")]


def test_callbacks_of_ones_own_run_in_the_app_context(make, push_outbox):
    app, heard = make(PUSHTASKS=APPS), []
    celery_app = with_celery(app)

    def push_done(result):
        heard.append((current_app.name, result["outcome"]))

    task = celery_app.task(push_done, name="push_done", shared=False)
    with app.app_context():
        signature = task.s()
        celery_app.tasks["pushtasks.send_apns"].apply_async((DEVICE, "Hi"), link=signature)

    assert heard == [("shop", "accepted")]


@pytest.mark.parametrize("wanted", [True, False])
def test_our_tasks_run_in_the_app_context_where_asked(make, push_outbox, wanted):
    app, found = make(PushTasks(app_context=wanted), PUSHTASKS=APPS), []
    celery_app = with_celery(app)
    push_outbox.reject(DEVICE, "Unregistered")

    def hear(**_):
        found.append(has_app_context())

    signals.token_expired.connect(hear)
    celery_app.tasks["pushtasks.send_apns"].delay(DEVICE, "Hi")

    assert found == [wanted]
    assert not has_app_context()


# News ---------------------------------------------------------------------------------------------


def test_functions_hear_of_devices_in_the_app_context(make, push_outbox):
    push, heard = PushTasks(), []
    app = make(
        push, PUSHTASKS=APPS, PUSHTASKS_GCM__OLD__API_KEY="x", PUSHTASKS_GCM__OLD__PROTOCOL="legacy"
    )
    since = datetime(2026, 1, 1, tzinfo=UTC)
    push_outbox.reject(DEVICE, "Unregistered", dead_since=since)
    push_outbox.replace("old", "new")

    @push.token_expired
    def forget(entry):
        heard.append((current_app.name, entry.token, entry.dead_since))

    @push.token_replaced
    def rename(entry):
        heard.append((current_app.name, entry.token, entry.canonical_id))

    with app.app_context():
        fanout.start("apns", [DEVICE], "Hi")
        push.celery.tasks["pushtasks.send_gcm"].delay("old", "Hi", app="old")

    assert heard == [("shop", DEVICE, since), ("shop", "old", "new")]


def test_news_come_to_the_app_whose_push_it_was(make, push_outbox):
    push, heard = PushTasks(), []
    shop = make(push, "shop", PUSHTASKS=APPS)
    bank = make(push, "bank", PUSHTASKS=APPS)
    push_outbox.reject(DEVICE, "Unregistered")
    push.token_expired(lambda _entry: heard.append(current_app.name))

    for app in (shop, bank, shop):
        with app.app_context():
            send_apns.delay(DEVICE, "Hi")

    assert heard == ["shop", "bank", "shop"]


def test_a_function_that_raises_keeps_no_other_from_hearing(make, push_outbox, caplog):
    push, heard = PushTasks(), []
    app = make(push, PUSHTASKS=APPS)
    push_outbox.reject(DEVICE, "Unregistered")

    @push.token_expired
    def broken(entry):
        raise KeyError(entry.app)

    push.token_expired(lambda entry: heard.append(entry.app))

    with app.app_context():
        result = send_apns.delay(DEVICE, "Hi").get()

    assert (result["reason"], heard) == ("Unregistered", ["default"])
    assert "broken failed on expired of 012345…" in caplog.text
    assert DEVICE not in caplog.text


def test_tasks_of_ones_own_run_in_the_app_context_of_a_celery_app_of_ours(make):
    app = make(PUSHTASKS_BROKER_URL="memory://")
    with app.app_context():
        celery_app = host.current_app()

    def own():
        return current_app.name

    assert celery_app.task(own, name="own", shared=False)() == "shop"
