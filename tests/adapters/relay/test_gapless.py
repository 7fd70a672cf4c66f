"""gapless's settings file, every key of it."""

import json
from pathlib import Path

import pytest

from pushtasks.adapters.relay.gapless import GaplessSettings, parse_gapless
from pushtasks.errors import InvalidSettings

FILE = Path("/etc/gapless/settings.json")
NEEDED = {
    "apns_cert_path": "cert.pem",
    "apns_key_path": "keys/key.pem",
    "apns_server": "gateway.example.com:2195",
    "redis_queue_key": "push_queue",
}


def parse(**values):
    """Read the needed keys and these; a key that is None is left out."""
    written = {**NEEDED, **values}
    return parse_gapless(
        json.dumps({key: value for key, value in written.items() if value is not None}), FILE
    )


def refusal(**values):
    with pytest.raises(InvalidSettings) as caught:
        parse(**values)
    return str(caught.value)


def test_what_is_left_out_is_as_in_gapless():
    settings = parse()

    assert (settings.pool_size, settings.log_successes, settings.ca_file) == (2, False, None)
    assert (settings.redis_host, settings.redis_port, settings.redis_db) == ("127.0.0.1", 6379, 0)
    assert settings.redis_url == "redis://127.0.0.1:6379/0"


def test_every_key_counts():
    settings = parse(
        pool_size=5,
        redis_host="redis.example.com",
        redis_port=6380,
        redis_db=3,
        log_successes=True,
        ca_file="ca.pem",
    )

    assert (settings.pool_size, settings.log_successes) == (5, True)
    assert settings.redis_url == "redis://redis.example.com:6380/3"
    assert (settings.apns_server, settings.redis_queue_key) == (
        "gateway.example.com:2195",
        "push_queue",
    )


def test_paths_are_relative_to_the_file():
    settings = parse(ca_file="/srv/ca.pem")

    assert settings.apns_cert_path == Path("/etc/gapless/cert.pem")
    assert settings.apns_key_path == Path("/etc/gapless/keys/key.pem")
    assert settings.ca_file == Path("/srv/ca.pem")


def test_an_address_of_ipv6_makes_a_url():
    assert parse(redis_host="::1").redis_url == "redis://[::1]:6379/0"


@pytest.mark.parametrize("key", NEEDED)
def test_a_key_that_is_needed_is_named(key):
    message = refusal(**{key: None})

    assert message.startswith(f"wrong setting ({FILE}): {key}: missing; set the ") or (
        key == "apns_server" and f"{key}: missing; set host:port" in message
    )


@pytest.mark.parametrize("path", ["apns_cert_path", "apns_key_path"])
def test_an_empty_path_is_none(path):
    assert f"{path}: missing; set the path of" in refusal(**{path: ""})


def test_an_unknown_key_is_refused_with_the_one_that_was_meant():
    assert refusal(redis_key="q") == (
        f"wrong setting ({FILE}): redis_key: unknown key; did you mean redis_queue_key?"
    )
    assert "nonsense: unknown key; there are apns_cert_path, apns_key_path," in refusal(nonsense=1)


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("apns_server", "gateway.example.com", "must be host:port; set host:port of a binary"),
        ("pool_size", 0, "must be greater than or equal to 1; set the connections"),
        ("redis_port", 70000, "must be less than or equal to 65535; set the port"),
        ("redis_db", -1, "must be greater than or equal to 0"),
        ("redis_queue_key", "", "set the key of the Redis list"),
        ("log_successes", "perhaps", "set true or false"),
        ("apns_cert_path", 7, "set the path of the certificate"),
    ],
)
def test_a_wrong_value_is_told_with_the_rule_and_the_way_out(key, value, rule):
    message = refusal(**{key: value})

    assert f"{key}: {value!r} is wrong, it " in message
    assert rule in message


def test_all_mistakes_are_told_at_once():
    message = refusal(apns_server=None, pool_size="many", redis_que_key="q")

    assert message.startswith(f"3 wrong settings ({FILE}):\n  ")
    assert len(message.splitlines()) == 4


@pytest.mark.parametrize("text", ["", "{", "apns_server = 'x'", "[" * 100_000])
def test_a_file_that_is_no_json_is_said_to_be_none(text):
    with pytest.raises(InvalidSettings, match=f"^settings file {FILE} is not JSON"):
        parse_gapless(text, FILE)


def test_a_file_that_is_no_object_is_said_to_be_none():
    with pytest.raises(InvalidSettings, match=r"holds a list; it must be a JSON object of apns_"):
        parse_gapless("[]", FILE)


def test_a_gateway_of_apples_is_switched_off():
    assert parse(apns_server="gateway.sandbox.push.apple.com:2195").is_switched_off
    assert not parse(apns_server="gateway.push.apple.com:2195", ca_file="ca.pem").is_switched_off
    assert not parse().is_switched_off


def test_settings_can_be_handed_on_as_json():
    settings = parse(ca_file="ca.pem", redis_db=2)

    assert GaplessSettings.model_validate_json(settings.model_dump_json()) == settings
