import json

import pytest

UPDATE = json.dumps({"aps": {"event": "update", "timestamp": 1767225600, "content-state": {}}})


@pytest.fixture
def channels(pushtasks, emulator):
    """(arguments) → `pushtasks channels` at the emulator."""
    settings = str(emulator.directory / "pushtasks.toml")
    return lambda *arguments: pushtasks("channels", *arguments, PUSHTASKS_CONFIG=settings)


@pytest.fixture
def channel(channels):
    """A channel that is new."""
    return channels("create").out.strip()


def test_a_channel_lives_from_create_to_delete(channels, channel):
    assert channel in channels("list").out.splitlines()
    assert channels("read", channel).out == "message-storage-policy: 1\npush-type: LiveActivity\n"
    assert channels("delete", channel).out == f"deleted {channel}\n"
    assert channel not in channels("list", "--json").json()["channels"]


def test_a_broadcast_is_accepted(channels, channel, emulator):
    ran = channels("broadcast", channel, "--payload", UPDATE, "--expiration", "60", "--json")

    assert (ran.status, ran.json()["outcome"]) == (0, "accepted")
    assert emulator.received()[-1]["token"] == channel


def test_a_broadcast_to_no_channel_is_rejected(channels):
    ran = channels("broadcast", "bm9uZQ==", "--payload", UPDATE)

    assert (ran.status, ran.out) == (1, "rejected ChannelNotRegistered\n")


def test_what_apple_refuses_is_an_error(channels):
    ran = channels("delete", "bm9uZQ==")

    assert ran.status == 1
    assert ran.error.endswith("status 400: ChannelNotRegistered")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["read", "no id"], "channel_id 'no id'"),
        (
            ["broadcast", "bm9uZQ==", "--payload", '{"aps": {"event": "start"}}'],
            "a broadcast takes",
        ),
        (["broadcast", "bm9uZQ=="], "nothing to send: give --payload"),
        (["list", "--app", "nope"], "app 'nope' is not in the apns settings"),
    ],
)
def test_wrong_use_is_told_in_a_line(arguments, told, channels):
    ran = channels(*arguments)

    assert ran.status == 2
    assert told in ran.error
