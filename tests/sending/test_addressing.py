"""Entries of a list as devices: in whichever way they are made, the same."""

from contextlib import closing

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from pushtasks.apns.client import ApnsClient, SharedPushes
from pushtasks.apns.notification import device_apns_id
from pushtasks.config import ApnsApp
from pushtasks.errors import InvalidPush
from pushtasks.net.multiplexer import Multiplexer
from pushtasks.results import APNS, Verdict
from pushtasks.sending.addressing import apns_devices
from pushtasks.sending.delivery import Policy, deliver_many
from pushtasks.sending.gathering import Summary
from pushtasks.sending.progress import Progress

ARGUMENTS = {"payload": "Hi", "priority": 5}
LIST_ID = "a list"

good = st.binary(min_size=32, max_size=32).map(bytes.hex)
odd = st.one_of(
    good.map(str.upper),
    good.map(lambda token: f"<{token[:8]} {token[8:]}>"),
    st.binary(max_size=40).map(bytes.hex),
    st.text(max_size=70),
)
overrides = st.sampled_from(
    [
        {},
        {"identifier": 7},
        {"payload": "Hello"},
        {"apns_id": "123E4567-e89b-42d3-a456-426614174000"},
        {"payload": "x" * 5000},
        {"nonsense": 1},
    ]
)
pairs = st.tuples(good | odd, overrides).map(list)
others = st.sampled_from([None, 5, [], {"token": "ab"}])
lists = st.lists(good) | st.lists(good | odd) | st.lists(good | odd | pairs | others)


class OneByOne:
    """Makes the same pushes, but is no `ApnsClient`, which could send them without."""

    push = staticmethod(ApnsClient.push)


@pytest.fixture(scope="module")
def app():
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return ApnsApp(
        name="default",
        topic="com.example.app",
        key=SecretStr(pem),
        key_id="ABCDEFGHIJ",
        team_id="KLMNOPQRST",
    )


@pytest.fixture(scope="module")
def client(app):
    with closing(Multiplexer()) as multiplexer:
        yield ApnsClient(app, "production", multiplexer)


def rows(devices):
    """Return devices in a form that can be compared."""
    return [
        (place, token, str(push) if isinstance(push, InvalidPush) else push)
        for place, token, push in devices
    ]


def result(devices):
    """Return what becomes of devices if every other one is accepted."""
    gathering, progress, tried = Summary(APNS, "default", {}), Progress(), []

    def send(pushes):
        tried.extend(pushes)
        return [Verdict(*((503, "Shutdown") if i % 2 else (200,))) for i in range(len(pushes))]

    policy = Policy(APNS, "default", 1, resend=True)
    later = deliver_many(policy, progress, devices, send, gathering)
    return tried, later and (later.places, str(later.error)), gathering.to_dict()


@given(entries=lists, step=st.integers(1, 3))
@example(entries=["ab" * 32, "cd" * 32], step=2)
@example(entries=["ab" * 32, "nonsense", "CD" * 32], step=1)
@example(entries=["ab" * 32, ["cd" * 32, {"payload": "Hello"}]], step=1)
def test_devices_are_the_same_whether_their_pushes_are_made_or_not(app, client, entries, step):
    by_place = {step * number: entry for number, entry in enumerate(entries)}

    made = [apns_devices(it, app, ARGUMENTS, LIST_ID, by_place) for it in (client, OneByOne())]

    assert rows(made[0]) == rows(made[1])
    assert result(made[0]) == result(made[1])


@pytest.mark.parametrize("last", ["cd" * 32, "CD" * 32, "nonsense"])
def test_of_mere_tokens_no_push_is_made_before_it_is_asked_for(app, client, last):
    entries = {3: "ab" * 32, 5: "ef" * 32, 8: last}

    devices = apns_devices(client, app, ARGUMENTS, LIST_ID, entries)

    assert isinstance(devices.pushes, SharedPushes)
    assert devices.pushes[1].apns_id == device_apns_id(LIST_ID, 5)


def test_an_entry_with_something_of_its_own_has_pushes_made(app, client):
    entries = {0: "ab" * 32, 1: ["cd" * 32, {"payload": "Hello"}]}

    first, second = apns_devices(client, app, ARGUMENTS, LIST_ID, entries).pushes

    assert b'"Hi"' in first.notification.payload
    assert b'"Hello"' in second.notification.payload


def test_no_token_is_in_the_repr_of_devices_and_their_pushes(app, client):
    devices = apns_devices(client, app, ARGUMENTS, LIST_ID, {0: "ab" * 32})

    assert "abab" not in repr(devices) + repr(devices.pushes)
