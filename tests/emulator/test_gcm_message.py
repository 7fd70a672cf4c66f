"""Whatever clients send to GCM, it is a message or it is refused."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pushtasks.emulator.exchange import Request
from pushtasks.emulator.gcm_message import MalformedMessage, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = (
    *("to", "registration_ids", "condition", "notification_key", "collapse_key", "priority"),
    *("content_available", "delay_while_idle", "time_to_live", "dry_run", "data", "notification"),
    "restricted_package_name",
)


def read(body, **headers):
    """Return what is made of a body: the message's recipients and problem, or why not."""
    try:
        message = parse(Request("POST", "/gcm/send", headers, body, len(body)))
    except MalformedMessage as malformed:
        return (), str(malformed)
    return message.names, message.problem()


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), JSON, max_size=4))
def test_any_object_is_a_message_or_refused(message):
    body = json.dumps(message).encode()
    names, problem = read(body, **{"content-type": "application/json"})
    assert names or "\n" not in problem


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(body):
    for headers in ({}, {"content-type": "application/json"}):
        names, problem = read(body, **headers)
        assert names or "\n" not in problem


@given(st.lists(st.text(max_size=8), min_size=1, max_size=20))
def test_registration_ids_keep_their_order_and_number(ids):
    body = json.dumps({"registration_ids": ids}).encode()
    assert read(body, **{"content-type": "application/json"}) == (tuple(ids), None)
