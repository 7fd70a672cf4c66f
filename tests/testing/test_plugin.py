"""The pytest plugin, as a user's own tests meet it: each of these runs pytest in a process."""

import pytest

pytest_plugins = "pytester"

SHOP = """
from pushtasks import send_apns

def order_shipped(token):
    return send_apns.delay(token, "Your order is on its way")
"""
OUTBOX = """
from shop import order_shipped

def test_the_customer_hears_of_it(push_outbox):
    order_shipped("0123456789abcdef")
    [push] = push_outbox
    assert push.payload["aps"]["alert"] == "Your order is on its way"
"""
EMULATOR = """
from shop import order_shipped

def test_the_push_arrives(push_emulator):
    order_shipped("0123456789abcdef")
    [push] = push_emulator.received()
    assert push.payload["aps"]["alert"] == "Your order is on its way"
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """(arguments) → pytest on the files of the test, in a process without settings of ours.

    No plugin is loaded but ours, since many take seconds; `installed=True` loads all, as usual.
    """
    for name in ("PUSHTASKS_CONFIG", "PYTEST_ADDOPTS", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(shop=SHOP)
    pytester.makeini("[pytest]\npythonpath = .\n")

    def begin(*arguments, installed=False):
        if not installed:
            monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            arguments = ("-p", "pushtasks.testing.plugin", *arguments)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return begin


def test_a_test_sends_and_asserts_in_five_lines(pytester, run):
    pytester.makepyfile(test_outbox=OUTBOX, test_emulator=EMULATOR)

    run(installed=True).assert_outcomes(passed=2)


def test_it_works_in_several_processes(pytester, run):
    pytester.makepyfile(test_outbox=OUTBOX, test_emulator=EMULATOR, test_more=EMULATOR)

    run("-p", "xdist", "-n", "2").assert_outcomes(passed=3)


def test_nothing_is_imported_before_it_is_used(pytester, run):
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            heavy = {"asyncio", "celery", "cryptography", "kombu", "pycurl", "pydantic", "redis"}
            ours = {name for name in sys.modules if name.startswith("pushtasks")}
            assert not heavy & sys.modules.keys()
            assert ours <= {
                "pushtasks", "pushtasks.errors", "pushtasks.testing", "pushtasks.testing.plugin"
            }
        """
    )

    run().assert_outcomes(passed=1)


def test_it_can_be_switched_off(pytester, run):
    pytester.makepyfile(test_outbox=OUTBOX)

    result = run("-p", "no:pushtasks", installed=True)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'push_outbox' not found*"])


def test_the_fixtures_are_listed_with_what_they_do(run):
    result = run("--fixtures", "-q")

    result.stdout.fnmatch_lines(["push_outbox -- *", "*Keep all pushes of the test*"])
    result.stdout.fnmatch_lines(["push_emulator -- *", "*pretend Apple and Google*"])


def test_both_at_once_are_refused(pytester, run):
    pytester.makepyfile("def test_both(push_outbox, push_emulator): assert push_outbox == []")

    result = run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*push_outbox and push_emulator exclude each other*"])


def test_settings_of_the_test_come_first(pytester, run):
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def push_settings():
            return {"apns": {"default": {"topic": "com.shop.app", "retries": 0}}}
        """
    )
    pytester.makepyfile(
        """
        from pushtasks import send_apns

        def test_outbox(push_outbox):
            send_apns.delay("ab", "Hi")
            assert push_outbox[0].topic == "com.shop.app"

        def test_emulator(push_emulator):
            send_apns.delay("ab", "Hi")
            assert push_emulator.received()[0].headers["apns-topic"] == "com.shop.app"
        """
    )

    run().assert_outcomes(passed=2)


def test_it_works_with_always_eager_and_leaves_nothing_behind(pytester, run):
    pytester.makepyfile(
        """
        import os

        from celery import Celery
        from celery.result import AsyncResult

        from pushtasks import send_apns

        app = Celery("shop", broker="redis://127.0.0.1:1/0")
        app.conf.update(task_always_eager=True, task_eager_propagates=True)
        app.conf.pushtasks = {"apns": {"default": {
            "topic": "com.shop.app", "key": "/no/such/key", "key_id": "ABC1234567",
            "team_id": "TEAM123456", "server": "https://127.0.0.1:1",
        }}}

        def environment():
            return {name: text for name, text in os.environ.items() if "PYTEST" not in name}

        before = environment(), Celery.send_task, AsyncResult.get, dict(app.conf)

        def test_outbox(push_outbox):
            send_apns.delay("ab", "Hi")
            assert [push.topic for push in push_outbox] == ["com.shop.app"]

        def test_emulator(push_emulator):
            send_apns.delay("ab", "Hi")
            assert len(push_emulator.received()) == 1

        def test_everything_is_as_it_was():
            assert (Celery.send_task, AsyncResult.get) == before[1:3]
            assert (environment(), dict(app.conf)) == (before[0], before[3])
        """
    )

    run().assert_outcomes(passed=3)


def test_it_works_with_the_worker_of_celerys_own_plugin(pytester, run):
    pytester.makeconftest(
        """
        import pytest

        pytest_plugins = ("celery.contrib.pytest",)

        @pytest.fixture
        def celery_config():
            return {"broker_url": "memory://", "result_backend": "cache+memory://"}

        @pytest.fixture
        def celery_worker_parameters():
            return {"queues": ("celery", "push", "push.bulk"), "perform_ping_check": False}
        """
    )
    pytester.makepyfile(
        """
        from pushtasks import fanout, send_apns

        def test_emulator(celery_app, celery_worker, push_emulator):
            task = send_apns.delay("ab", "Hi")
            assert type(task).__name__ == "AsyncResult"
            assert task.get(timeout=10)["outcome"] == "accepted"
            assert len(push_emulator.wait_for(1)) == 1
            started = fanout.start("apns", ["ab", "cd"], "Hi", chunk=1)
            assert fanout.wait(started.id, timeout=10).accepted == 2

        def test_outbox(celery_app, push_outbox):
            send_apns.delay("ab", "Hi")
            assert len(push_outbox) == 1
        """
    )

    run().assert_outcomes(passed=2)


def test_it_works_with_a_django_project(pytester, run, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "project_settings")
    pytester.makepyfile(
        project_settings="""
        SECRET_KEY = "test"
        USE_TZ = True
        ROOT_URLCONF = "project_urls"
        ALLOWED_HOSTS = ["testserver"]
        CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
        PUSHTASKS = {"apns": {"default": {
            "topic": "com.shop.app", "key": "none", "key_id": "ABC1234567", "team_id": "TEAM123456",
        }}}
        """,
        project_urls="""
        from django.http import JsonResponse
        from django.urls import path

        from shop import order_shipped

        def ship(request):
            return JsonResponse({"task": order_shipped(request.GET["token"]).id})

        urlpatterns = [path("ship", ship)]
        """,
        project_celery="""
        from celery import Celery

        app = Celery("project")
        app.config_from_object("django.conf:settings", namespace="CELERY")
        app.autodiscover_tasks()
        """,
        test_django="""
        import django
        django.setup()

        import project_celery
        from django.test import Client

        def test_a_view_pushes(push_outbox):
            task = Client().get("/ship?token=0123456789abcdef").json()["task"]
            [push] = push_outbox
            assert (push.task_id, push.token) == (task, "0123456789abcdef")
        """,
    )

    run().assert_outcomes(passed=1)


def test_it_works_with_a_flask_app(pytester, run):
    pytester.makepyfile(
        flask_shop="""
        from flask import Flask, current_app, request

        from pushtasks.adapters.flask import PushTasks
        from shop import order_shipped

        push, gone = PushTasks(), []

        @push.token_expired
        def forget(entry):
            gone.append((current_app.name, entry.token))

        def create_app():
            app = Flask(__name__)
            app.config["PUSHTASKS_BROKER_URL"] = "redis://127.0.0.1:1/0"
            app.config["PUSHTASKS"] = {"apns": {"default": {
                "topic": "com.shop.app", "key": "none", "key_id": "ABC1234567",
                "team_id": "TEAM123456",
            }}}
            push.init_app(app)
            app.add_url_rule("/ship", view_func=lambda: order_shipped(request.args["token"]).id)
            return app
        """,
        test_flask="""
        from flask_shop import create_app, gone

        def test_a_view_pushes(push_outbox):
            push_outbox.reject("ab", "Unregistered")
            create_app().test_client().get("/ship?token=ab")
            assert [push.topic for push in push_outbox] == ["com.shop.app"]
            assert gone == [("flask_shop", "ab")]

        def test_a_view_reaches_the_provider(push_emulator):
            create_app().test_client().get("/ship?token=ab")
            assert push_emulator.received()[0].headers["apns-topic"] == "com.shop.app"
        """,
    )

    run().assert_outcomes(passed=2)


def test_it_works_in_a_unittest_without_fixtures(pytester, run):
    pytester.makepyfile(
        """
        import unittest

        from pushtasks.testing import emulator, outbox
        from shop import order_shipped

        class Shipping(unittest.TestCase):
            def setUp(self):
                self.pushes = self.enterContext(outbox())

            def test_the_customer_hears_of_it(self):
                self.pushes.reject("ab", "Unregistered")
                self.assertEqual(order_shipped("ab").get()["action"], "drop_token")

        class Arriving(unittest.TestCase):
            def test_the_push_arrives(self):
                with emulator() as providers:
                    order_shipped("ab")
                    self.assertEqual(len(providers.received()), 1)
        """
    )

    run().assert_outcomes(passed=2)
