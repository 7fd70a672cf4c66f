"""The worker of a relay's own, as the relay runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pushtasks.adapters.relay.gapless import parse_gapless
from pushtasks.adapters.relay.standalone import own_celery_app
from pushtasks.config import current_settings
from pushtasks.errors import InvalidSettings

REDIS = "redis://:secret@127.0.0.1:1/0"


@pytest.fixture
def settings(emulator):
    """(…keys) → gapless's settings, with a certificate of the emulator's."""

    def make(**keys):
        values = {
            "apns_cert_path": "client.pem",
            "apns_key_path": "client-key.pem",
            "apns_server": "gateway.example.com:2195",
            "redis_queue_key": "push_queue",
            **keys,
        }
        return parse_gapless(json.dumps(values), emulator.directory / "settings.json")

    return make


def test_settings_that_have_become_wrong_end_it_with_a_line(settings):
    order = {
        "settings": settings(apns_cert_path="gone.pem").model_dump(mode="json"),
        "redis_url": REDIS,
    }

    done = subprocess.run(
        [sys.executable, "-m", "pushtasks.adapters.relay.worker"],
        input=json.dumps(order) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("pushtasks: apns_cert_path: there is no file ")


def test_gapless_settings_alone_decide(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("PUSHTASKS_CONFIG", "nowhere.toml")
    monkeypatch.setenv("PUSHTASKS_BROKER_URL", "amqp://elsewhere")
    monkeypatch.setenv("PUSHTASKS_WORKER_POOL", "solo")
    monkeypatch.chdir(tmp_path)
    Path("pushtasks.toml").write_text("nonsense = [")

    with own_celery_app(settings(pool_size=5, log_successes=True), REDIS) as celery_app:
        found = current_settings(celery_app)

        assert celery_app.conf.broker_url == REDIS
        assert celery_app.conf.worker_pool == "threads"
        assert celery_app.conf.worker_deduplicate_successful_tasks is False
        assert (list(found.apns), list(found.gcm)) == (["push_queue"], [])
        app = found.apns_app("push_queue")
        assert (app.protocol, app.command, app.gateway) == ("binary", 1, "gateway.example.com:2195")
        assert (app.pool_size, app.log_successes) == (5, True)


def test_everything_of_celery_in_redis_has_the_lists_name(settings):
    with own_celery_app(settings(), REDIS) as celery_app:
        options = celery_app.conf.broker_transport_options

        assert options["global_keyprefix"] == "push_queue:pushtasks:broker:"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"apns_key_path": "gone.pem"}, "^apns_key_path: there is no file "),
        ({"ca_file": "gone.pem"}, "^ca_file: there is no file "),
        ({"apns_cert_path": "apns-key.p8"}, "^certificate has no block BEGIN CERTIFICATE"),
        ({"apns_server": "gateway.push.apple.com:2195"}, "^apns_server: Apple has switched "),
    ],
)
def test_what_could_send_nothing_is_refused(settings, keys, words):
    with pytest.raises(InvalidSettings, match=words):
        own_celery_app(settings(**keys), REDIS)
