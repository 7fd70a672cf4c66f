"""Each test in processes of its own, since Celery's current and default apps are the process's."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HOST = """
    from celery import Celery
    host = Celery("host", broker="memory://")
"""
SHOW = """
    import json, sys, threading
    from pushtasks.host import current_app

    def in_a_thread():
        found = []
        thread = threading.Thread(target=lambda: found.append(current_app().main))
        thread.start()
        thread.join()
        return found[0]

    def show(*values):
        print(json.dumps(values))
"""


@pytest.fixture
def clean_environment():
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PUSHTASKS_", "CELERY_", "DJANGO_"))
    }


@pytest.fixture
def run(tmp_path, clean_environment):
    """Return a function that runs Python code in an empty folder and returns what it shows."""

    def run(*code, **environ):
        source = "\n".join(textwrap.dedent(part) for part in code)
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-W", "error", "-c", source],
            cwd=tmp_path,
            env={**clean_environment, **environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


# Which app a call goes to --------------------------------------------------------------------


def test_without_another_app_calls_go_to_the_ready_made_one(run):
    assert run(SHOW, "show(current_app().main, in_a_thread())") == ["pushtasks"] * 2


def test_the_app_that_celery_makes_up_is_nobodys_choice(run):
    made_up = "import celery; celery.current_app.main"

    assert run(made_up, SHOW, "show(current_app().main, in_a_thread())") == ["pushtasks"] * 2


@pytest.mark.parametrize("order", ["host first", "ready-made first"])
def test_a_hosts_app_is_found_from_every_thread(run, order):
    ready_made = "import pushtasks.celery"
    code = [HOST, ready_made] if order == "host first" else [ready_made, HOST]

    assert run(*code, SHOW, "show(current_app().main, in_a_thread())") == ["host", "host"]


def test_a_hosts_app_made_in_another_thread_is_found_too(run):
    code = """
        import threading
        from celery import Celery
        made = []
        thread = threading.Thread(target=lambda: made.append(Celery("host", broker="memory://")))
        thread.start()
        thread.join()
    """

    assert run(code, SHOW, "show(current_app().main, in_a_thread())") == ["host", "host"]


def test_a_hosts_default_app_decides_in_threads_among_several(run):
    code = """
        other = Celery("other", broker="memory://")
        host.set_default()
    """

    assert run(HOST, code, SHOW, "show(current_app().main, in_a_thread())") == ["other", "host"]


def test_among_several_apps_with_no_default_none_is_guessed(run):
    code = """
        other = Celery("other", broker="memory://")
    """
    ask = """
        def ask():
            try:
                current_app()
            except ValueError as error:
                show(type(error).__name__, str(error))
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    """

    name, message = run(HOST, code, SHOW, ask)

    assert name == "InvalidSettings"
    assert message.startswith("several Celery apps ('host', 'other'), none of them current")
    assert "set_default()" in message


def test_the_ready_made_app_can_be_preferred_to_a_hosts(run):
    prefer = "from pushtasks.celery import use_as_default; use_as_default()"

    assert run(HOST, prefer, SHOW, "show(current_app().main, in_a_thread())") == ["pushtasks"] * 2


def test_the_ready_made_app_does_not_become_the_default_of_a_hosts_other_tasks(run):
    code = "import pushtasks.celery; from celery import _state; show(_state.default_app is None)"

    assert run(SHOW, code) == [True]


def test_a_task_is_found_in_the_app_of_the_moment(run):
    code = """
        from pushtasks.host import host_task

        @host_task(name="test.double", max_retries=7)
        def double(x):
            "Twice."
            return 2 * x

        one = double.app.main
        from celery import Celery
        host = Celery("host", broker="memory://")
        show(one, double.app.main, double.name, double.__name__, double.max_retries, double(4),
             double.s(2).app.main)
    """

    assert run(SHOW, code) == ["pushtasks", "host", "test.double", "double", 7, 8, "host"]


def test_a_call_from_a_thread_reaches_the_hosts_broker(run, redis_server):
    code = f"""
        import redis, threading
        from celery import Celery
        from pushtasks.host import host_task

        @host_task(name="test.push")
        def push(): pass

        host = Celery("host", broker="{redis_server.url(3)}")
        thread = threading.Thread(target=push.delay)
        thread.start()
        thread.join()
        print(redis.Redis.from_url("{redis_server.url(3)}").llen("celery"))
    """
    redis_server.flush()

    assert run(code, PUSHTASKS_BROKER_URL=redis_server.url(4)) == 1


# Its settings --------------------------------------------------------------------------------

CONF = """
    import json
    from pushtasks.celery import app
    conf = app.conf
"""


def test_settings_are_read_on_first_use_and_not_on_import(run):
    code = """
        import os
        os.environ["PUSHTASKS_BROKER_URL"] = "redis://late:1/0"
        print(json.dumps([conf.broker_url, conf.result_backend]))
    """

    assert run(CONF, code) == ["redis://late:1/0", "redis://late:1/1"]


def test_tasks_are_json_and_done_before_they_leave_the_queue(run):
    code = """
        print(json.dumps([conf.task_serializer, conf.result_serializer, conf.accept_content,
              conf.task_acks_late, conf.task_reject_on_worker_lost, conf.broker_url,
              app.backend.connparams["db"]]))
    """

    assert run(CONF, code) == [
        *("json", "json", ["json"], True, True, "redis://localhost:6379/0"),
        1,
    ]


def test_every_task_has_its_queue(run):
    code = """
        def queue(task):
            return app.amqp.router.route({}, task)["queue"].name
        print(json.dumps([queue("pushtasks." + name) for name in
              ("send_apns", "send_gcm", "send_fcm", "send_apns_many", "send_gcm_many",
               "poll_feedback")] + [queue("theirs.own"), sorted(app.amqp.queues)]))
    """

    assert run(CONF, code) == [
        *["push"] * 3,
        *["push.bulk"] * 2,
        "push.feedback",
        "push",
        ["push", "push.bulk", "push.feedback"],
    ]


def test_a_result_backend_on_a_unix_socket_is_understood_by_celery(run):
    code = """
        parameters = app.backend.connparams
        print(json.dumps([parameters["path"], int(parameters["db"])]))
    """
    url = "redis+socket:///run/redis.sock?virtual_host=0"

    assert run(CONF, code, PUSHTASKS_BROKER_URL=url) == ["/run/redis.sock", 1]


def test_a_celeryconfig_in_the_working_directory_overrides_key_by_key(run, tmp_path):
    (tmp_path / "celeryconfig.py").write_text(
        "import os\n"
        'broker_url = "redis://mine/0"\n'
        "result_expires = 60\n"
        'pushtasks = {"apns": {}}\n'
        'imports = ["json"]\n'
    )
    code = """
        print(json.dumps([conf.broker_url, conf.result_backend, conf.result_expires,
              conf.task_acks_late, conf.pushtasks.value,
              {"json", "pushtasks.tasks"} <= {*app.loader.default_modules}]))
    """

    assert run(CONF, code, PUSHTASKS_BROKER_URL="redis://not-mine") == [
        *("redis://mine/0", "redis://mine/1", 60, True, {"apns": {}}),
        True,
    ]


def test_the_celeryconfig_of_the_checkout_changes_nothing(run, tmp_path):
    show = "print(json.dumps({k: repr(v) for k, v in conf.items()}, sort_keys=True))"
    builtin = run(CONF, show)

    shutil.copy(Path(__file__).parent.parent / "celeryconfig.py", tmp_path)

    assert run(CONF, show) == builtin


def test_a_named_config_module_must_exist(run):
    code = """
        try:
            conf.broker_url
        except ValueError as error:
            print(json.dumps(str(error)))
    """

    message = run(CONF, code, CELERY_CONFIG_MODULE="nowhere.settings")

    assert message.startswith("CELERY_CONFIG_MODULE: no module 'nowhere.settings'; name one that")


def test_a_celeryconfig_that_cannot_import_something_is_not_passed_over(run, tmp_path):
    (tmp_path / "celeryconfig.py").write_text("import no_such_thing\n")
    code = """
        try:
            conf.broker_url
        except ImportError as error:
            print(json.dumps(error.name))
    """

    assert run(CONF, code) == "no_such_thing"


@pytest.fixture
def django_project(tmp_path):
    pytest.importorskip("django")
    (tmp_path / "settings.py").write_text(
        'CELERY_BROKER_URL = "redis://django/0"\n'
        "CELERY_RESULT_EXPIRES = 61\n"
        'PUSHTASKS = {"redis_url": "redis://own/0"}\n'
        'SECRET_KEY = "x"\n'
    )


def test_django_settings_come_last(run, tmp_path, django_project):
    (tmp_path / "celeryconfig.py").write_text("result_expires = 60\ntask_acks_late = False\n")
    code = """
        print(json.dumps([conf.broker_url, conf.result_backend, conf.result_expires,
              conf.task_acks_late, conf.pushtasks.value]))
    """

    assert run(CONF, code, DJANGO_SETTINGS_MODULE="settings") == [
        *("redis://django/0", "redis://django/1", 61, False),
        {"redis_url": "redis://own/0"},
    ]


def test_in_a_django_project_its_own_app_comes_first(run, django_project):
    code = [HOST, "import pushtasks.celery", SHOW, "show(current_app().main, in_a_thread())"]

    assert run(*code, DJANGO_SETTINGS_MODULE="settings") == ["host", "host"]
    code[:2] = reversed(code[:2])
    assert run(*code, DJANGO_SETTINGS_MODULE="settings") == ["host", "host"]


# Its worker ----------------------------------------------------------------------------------


@pytest.fixture
def celery(tmp_path, clean_environment, redis_server):
    """Return a function that starts `celery -A pushtasks` in an empty folder."""
    redis_server.flush()
    broker = {"PUSHTASKS_BROKER_URL": redis_server.url(), "PYTHONWARNINGS": "ignore"}
    running = []

    def start(*arguments, **environ):
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "celery", "-A", "pushtasks", *arguments],
            cwd=tmp_path,
            env={**clean_environment, **broker, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=20)


def banner(process):
    """Return what a worker prints until it is ready."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "ready." in line:
            break
    return "".join(lines)


@pytest.mark.parametrize(
    ("options", "environ", "concurrency"),
    [
        ([], {}, "64 (thread)"),
        ([], {"PUSHTASKS_WORKER_POOL": "solo", "PUSHTASKS_WORKER_CONCURRENCY": "1"}, "1 (solo)"),
        (["-P", "prefork", "-c", "1"], {}, "1 (prefork)"),
        (["-P", "gevent"], {}, "100 (gevent)"),
        (["-P", "solo", "-c", "1"], {"PUSHTASKS_WORKER_POOL": "gevent"}, "1 (solo)"),
    ],
)
def test_a_worker_in_an_empty_folder_serves_our_queues(celery, options, environ, concurrency):
    shown = banner(celery("worker", "-l", "info", "--without-mingle", *options, **environ))

    assert "pushtasks.send_apns" in shown
    assert f"concurrency: {concurrency}\n" in shown
    for queue in ("push", "push.bulk", "push.feedback"):
        assert f".> {queue} " in shown
    assert ".> celery " not in shown  # where another app's tasks may wait on the same broker
    assert "must use the -P" not in shown


def test_a_pool_of_greenlets_that_came_too_late_is_refused_in_one_line(celery):
    output, _ = celery("worker", PUSHTASKS_WORKER_POOL="gevent").communicate(timeout=30)

    assert output.splitlines()[-1] == (
        "pushtasks: worker pool 'gevent' must be chosen on the command line, for settings are read"
        " too late; start the worker with `celery -A pushtasks worker -P gevent`"
    )


def test_a_worker_answers_a_ping(celery):
    banner(celery("worker", "-l", "info", "--without-mingle"))

    output, _ = celery("inspect", "ping").communicate(timeout=30)

    assert "pong" in output
