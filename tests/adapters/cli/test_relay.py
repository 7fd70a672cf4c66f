"""`pushtasks relay`: what its command line takes, and says to who got it wrong."""

import json
import signal

import pytest
import redis

KEY = "push_queue"


@pytest.fixture
def client(redis_server):
    redis_server.flush()
    with redis.Redis(port=redis_server.port, db=2) as client:
        yield client


@pytest.fixture
def settings_file(redis_server, emulator, tmp_path):
    """(…keys) → gapless's settings file; keys that are None are left out."""

    def write(**keys):
        settings = {
            "apns_cert_path": str(emulator.directory / "client.pem"),
            "apns_key_path": str(emulator.directory / "client-key.pem"),
            "apns_server": "gateway.example.com:2195",
            "redis_queue_key": KEY,
            "redis_port": redis_server.port,
            "redis_db": 2,
            **keys,
        }
        written = {key: value for key, value in settings.items() if value is not None}
        file = tmp_path / "settings.json"
        file.write_text(json.dumps(written))
        return file

    return write


@pytest.fixture
def dead_letters(client):
    """(entries) → puts them on the dead-letter list, each with a reason."""

    def write(*entries):
        letters = [json.dumps({"entry": one, "reason": "why", "at": "now"}) for one in entries]
        client.rpush(f"{KEY}:pushtasks:dead", *letters)
        return letters

    return write


def test_help_has_an_example(pushtasks):
    assert "pushtasks relay settings.json --app default" in pushtasks("relay", "--help").out


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"redis_queue_key": None}, "redis_queue_key: missing; set the key of the Redis list"),
        ({"pol_size": 3}, "pol_size: unknown key; did you mean pool_size?"),
        ({"apns_cert_path": "no.pem"}, "apns_cert_path: there is no file /"),
        ({"apns_key_path": __file__}, "apns_key_path is no private key"),
        ({"ca_file": __file__}, "cannot be used (no certificate); give a PEM file"),
        ({"redis_queue_key": ""}, "redis_queue_key: '' is wrong, it must have at least 1 char"),
        (
            {"apns_server": "gateway.push.apple.com:2195"},
            "switched gateway.push.apple.com:2195 off",
        ),
        ({"apns_server": "gateway"}, "must be host:port"),
    ],
)
def test_settings_that_cannot_be_used_are_told_in_a_line(pushtasks, settings_file, keys, words):
    done = pushtasks("relay", settings_file(**keys))

    assert done.status == 2
    assert words in done.error
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.json"], "settings file nowhere.json cannot be read (No such file"),
        ([], "no list: give gapless's settings file, or name the list with --key"),
        (["--key", KEY, "--redis-url", "http://x"], "redis_url: "),
        (["--key", KEY, "--redis-url", "redis://:a/b@h/0"], "redis_url: is no URL whose port"),
        (["--key", KEY, "--batch", "5000"], "'--batch'"),
        (["--key", KEY, "--dead", "--revive"], "give one of them"),
        (["nowhere.toml", "--key", KEY], "nowhere.toml cannot be read (No such file"),
    ],
)
def test_a_wrong_command_line_is_told_in_a_line(pushtasks, arguments, words):
    done = pushtasks("relay", *arguments)

    assert done.status == 2
    assert words in done.error


def test_an_app_that_is_not_in_the_settings_is_refused_before_anything_is_taken(
    pushtasks, settings_file, emulator, client
):
    client.rpush(KEY, "entry")
    config = str(emulator.directory / "pushtasks.toml")

    done = pushtasks("relay", settings_file(), "--app", "nope", PUSHTASKS_CONFIG=config)

    assert done.status == 2
    assert "app 'nope' is not in the apns settings (there are classic, default)" in done.error
    assert client.lrange(KEY, 0, -1) == [b"entry"]


def test_no_file_and_no_variable_of_ours_counts_for_gapless_settings_alone(
    launch, settings_file, client, tmp_path
):
    (tmp_path / "pushtasks.toml").write_text("nonsense = [")
    process = launch("relay", settings_file(), "--json", PUSHTASKS_CONFIG="nowhere.toml")

    begun = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)

    assert begun["app"] == KEY
    assert process.wait(30) == 0


def test_our_own_settings_do_as_well(launch, redis_server, client, emulator):
    file = emulator.directory / "pushtasks.toml"
    url = redis_server.url(2)
    arguments = ("relay", file, "--key", KEY, "--redis-url", url, "--app", "classic")
    process = launch(*arguments, "--json", PUSHTASKS_BROKER_URL=redis_server.url())
    begun = json.loads(process.stdout.readline())
    entry = {"token": "ab" * 32, "data": {"aps": {"alert": "x" * 3000}}}
    client.rpush(KEY, json.dumps(entry))  # over the limit of that app's protocol

    _, letter = client.blmpop(20, 1, f"{KEY}:pushtasks:dead", direction="LEFT")
    process.send_signal(signal.SIGINT)

    assert begun["list"] == f"{KEY!r} at 127.0.0.1:{redis_server.port}/2"
    assert (begun["app"], begun["queue"]) == ("classic", "push.bulk")
    assert "over the 2048 that a binary gateway takes" in json.loads(letter[0])["reason"]
    assert process.wait(30) == 0
    assert json.loads(process.stdout.read()) == {"handed_over": 0, "tasks": 0, "dead": 1}


def test_successes_that_workers_have_to_log_are_pointed_out(launch, settings_file, redis_server):
    arguments = ("relay", settings_file(log_successes=True), "--app", "default")
    process = launch(*arguments, PUSHTASKS_BROKER_URL=redis_server.url())

    assert "set it in [apns.default] of their settings" in process.stderr.readline()


def test_dead_letters_are_printed(pushtasks, settings_file, dead_letters):
    letters = dead_letters("{nope", "[]")

    done = pushtasks("relay", settings_file(apns_cert_path="gone.pem"), "--dead")

    assert done.out.splitlines() == letters


def test_dead_letters_come_back_when_asked_for(pushtasks, settings_file, dead_letters, client):
    dead_letters("one", "two")

    done = pushtasks("relay", settings_file(), "--revive", "--json")

    assert done.json() == {"revived": 2}
    assert client.lrange(KEY, 0, -1) == [b"one", b"two"]


def test_another_list_can_be_named(pushtasks, settings_file, client):
    client.rpush("other:pushtasks:dead", "{}")

    done = pushtasks("relay", settings_file(), "--key", "other", "--dead")

    assert done.out == "{}\n"
