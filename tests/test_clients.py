"""What one process owns: a client for each app, and nothing that it got through a fork."""

import gc
import os
import socket
import subprocess
import sys
import textwrap
import time
import tomllib
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from celery import Celery

from pushtasks import InvalidPush, InvalidSettings, clients
from pushtasks.apns.client import Push
from pushtasks.apns.notification import notification
from pushtasks.fcm.legacy_client import LegacyClient

TOKEN = "ab" * 32
IDENTIFIER = "123e4567-e89b-42d3-a456-426614174000"


@pytest.fixture
def settings(emulator):
    """The emulator's settings, with absolute paths."""
    tables = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
    for table in (app for provider in tables.values() for app in provider.values()):
        for name in {
            "ca_file",
            "certificate",
            "certificate_key",
            "credentials",
            "key",
        } & table.keys():
            table[name] = str(emulator.directory / table[name])
    return tables


@pytest.fixture
def app(settings):
    settings["apns"]["other"] = settings["apns"]["default"] | {"topic": "com.example.other"}
    app = Celery("host", set_as_current=False)
    app.conf.pushtasks = settings
    yield app
    clients.close()
    app.close()


def send(client):
    push = Push(TOKEN, notification("Hi", topic="com.example.app"), IDENTIFIER)
    return client.send([push])[0]


def send_over_gateway(client):
    return client.send([client.push(TOKEN, notification("Hi", topic=None), IDENTIFIER)])[0]


def test_an_app_has_one_client(app):
    client = clients.apns_client(app, "default")

    assert clients.apns_client(app, "default") is client
    assert clients.apns_client(app, "default", "production") is client
    assert clients.fcm_client(app, "default") is clients.fcm_client(app, "default")


def test_no_celery_app_takes_the_place_in_memory_of_one_that_has_clients(settings):
    celery_app = Celery("host", set_as_current=False)
    celery_app.conf.pushtasks = settings
    kept = weakref.ref(celery_app)
    clients.fcm_client(celery_app, "default")

    celery_app.close()
    del celery_app
    gc.collect()
    assert kept() is not None

    clients.close()
    gc.collect()
    assert kept() is None


def test_another_app_and_another_environment_have_their_own(app):
    client = clients.apns_client(app, "default")

    assert clients.apns_client(app, "other") is not client
    assert clients.apns_client(app, "default", "sandbox") is not client


def test_clients_of_apps_with_the_same_key_share_connections(app, emulator):
    for name in ("default", "other"):
        assert send(clients.apns_client(app, name)).status == 200

    assert emulator.control("GET", "/stats")["apns"]["connections_opened"] == 1


def test_after_closing_the_next_push_opens_a_connection_of_its_own(app, emulator):
    closed = clients.apns_client(app, "default")
    assert send(closed).status == 200

    clients.close()
    opened = clients.apns_client(app, "default")

    assert opened is not closed
    assert send(opened).status == 200
    assert emulator.control("GET", "/stats")["apns"]["connections_opened"] == 2


def test_a_gateway_that_is_silent_takes_no_time_from_another_at_the_end(app, settings, emulator):
    classic = settings["apns"]["classic"]
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(2) as threads:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        settings["apns"]["silent"] = classic | {"gateway": address, "timeout": 3.0}
        settings["apns"]["well"] = classic | {"assume_sent": 60.0}
        app.conf.pushtasks = settings
        made = [clients.apns_client(app, name) for name in ("silent", "well")]
        sent = [threads.submit(send_over_gateway, client) for client in made]
        while not emulator.received():
            time.sleep(0.01)

        clients.close(1.0)

        assert sent[1].result().reason is None


def test_closing_twice_or_before_the_first_push_is_harmless():
    clients.close()
    clients.close()


def test_an_unknown_app_is_refused_naming_those_there_are(app):
    with pytest.raises(InvalidPush, match=r"app 'nope' .* \(there are classic, default, other\)"):
        clients.apns_client(app, "nope")
    with pytest.raises(InvalidPush, match=r"app 'nope' .* \(there are classic, default\)"):
        clients.fcm_client(app, "nope")


def test_an_app_of_the_legacy_protocol_is_sent_for_by_its_own_client(app, emulator):
    client = clients.fcm_client(app, "classic")
    push = client.message("Hi", dry_run=True, now=datetime.now(UTC))

    assert isinstance(client, LegacyClient)
    assert client.send([push("a")])[0].status == 200
    clients.close()
    assert clients.fcm_client(app, "classic") is not client


def test_a_key_that_cannot_be_read_is_named_with_its_app_and_others_go_on(app, settings, tmp_path):
    settings["apns"]["broken"] = settings["apns"]["default"] | {"key": str(tmp_path / "none.p8")}
    app.conf.pushtasks = settings

    with pytest.raises(InvalidSettings, match=r"apns\.broken.*none\.p8"):
        clients.apns_client(app, "broken")
    assert send(clients.apns_client(app, "default")).status == 200


def test_a_forked_process_has_a_client_and_a_connection_of_its_own(emulator):
    program = textwrap.dedent(f"""
        import os
        from celery import Celery
        from pushtasks import clients
        from pushtasks.apns.client import Push
        from pushtasks.apns.notification import notification

        def send(client):
            push = Push({TOKEN!r}, notification("Hi", topic="com.example.app"), {IDENTIFIER!r})
            assert client.send([push])[0].status == 200

        app = Celery("host")
        inherited = clients.apns_client(app, "default")
        send(inherited)
        pid = os.fork()
        if pid == 0:
            client = clients.apns_client(app, "default")
            assert client is not inherited
            send(client)
            clients.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert clients.apns_client(app, "default") is inherited
        send(inherited)
    """)
    settings = str(emulator.directory / "pushtasks.toml")

    subprocess.run(  # noqa: S603
        [sys.executable, "-c", program],
        env=os.environ | {"PUSHTASKS_CONFIG": settings},
        timeout=30,
        check=True,
    )

    assert emulator.control("GET", "/received/count") == {"count": 3}
    assert emulator.control("GET", "/stats")["apns"]["connections_opened"] == 2
