"""What waits to be told of stays small, and no push of it is forgotten."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.adapters.events.heap import (
    LIMIT,
    REASONS_LIMIT,
    Heap,
    PushEvent,
    event_of_late,
    events_of,
    fields_of,
)
from pushtasks.observers import End, Ended, Kind, RejectedLate, Tried
from pushtasks.results import APNS

NOW = 1_800_000_000.25
SINGLE = Tried(
    APNS,
    "default",
    "production",
    Kind.SINGLE,
    (Ended(End.REJECTED, 1, "Unregistered", 410),),
    task_id="6a1f",
    tries=2,
    token="0123ab…",
)


def told(tried):
    return [
        fields_of(event, count) | {"type": event.type} for event, count in events_of(tried, NOW)
    ]


def test_a_single_push_is_told_with_its_task_and_its_masked_token():
    assert told(SINGLE) == [
        {
            "type": "push-rejected",
            "provider": "apns",
            "app": "default",
            "environment": "production",
            "kind": "single",
            "count": 1,
            "reason": "Unregistered",
            "status": 410,
            "timestamp": NOW,
            "uuid": "6a1f",
            "tries": 2,
            "token": "0123ab…",
        }
    ]


def test_a_chunk_makes_an_event_for_each_way_in_which_devices_ended():
    ends = (Ended(End.ACCEPTED, 497), Ended(End.REJECTED, 2, "BadDeviceToken", 400))
    chunk = replace(SINGLE, kind=Kind.CHUNK, ends=ends, token=None, fanout="news", chunk=7)

    accepted, rejected = told(chunk)

    assert (accepted["type"], accepted["count"]) == ("push-accepted", 497)
    assert (rejected["type"], rejected["count"]) == ("push-rejected", 2)
    assert accepted["fanout"], accepted["chunk"] == ("news", 7)
    assert not {"token", "reason", "status"} & accepted.keys()


def test_what_is_zero_is_told_and_what_is_unknown_is_not():
    [fields] = told(replace(SINGLE, tries=0, environment="", task_id=None, token=None))

    assert fields["tries"] == 0
    assert not {"environment", "uuid", "token"} & fields.keys()


@pytest.mark.parametrize("end", End)
def test_types_have_celerys_form(end):
    [event] = told(replace(SINGLE, ends=(Ended(end, 1),)))

    assert event["type"] == f"push-{end.value}".replace("_", "-")


def test_a_late_refusal_has_a_type_of_its_own():
    event = event_of_late(RejectedLate(APNS, "classic", "InvalidToken", "0123ab…"), NOW)

    assert event.type == "push-rejected-late"
    assert fields_of(event, 1) == {
        "provider": "apns",
        "app": "classic",
        "reason": "InvalidToken",
        "timestamp": NOW,
        "token": "0123ab…",
        "count": 1,
    }


def test_few_tries_are_told_one_by_one_in_their_order():
    heap = Heap()
    for number in range(LIMIT):
        for event, count in events_of(replace(SINGLE, task_id=str(number)), NOW):
            heap.add(event, count)

    assert [event.uuid for event, _ in heap.take()] == [str(number) for number in range(LIMIT)]
    assert heap.take() == []


def test_of_many_tries_those_alike_become_one():
    heap = Heap()
    for number in range(LIMIT + 1000):
        for event, count in events_of(replace(SINGLE, task_id=str(number)), NOW):
            heap.add(event, count)

    *_, (event, count) = heap.take()

    assert (event.reason, event.status, count) == ("Unregistered", 410, 1000)
    assert event.uuid is event.token is event.timestamp is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.text(max_size=2) | st.integers(0, 10_000).map(str),
            st.integers(1, 1000),
        ),
        max_size=400,
    )
)
def test_all_pushes_are_told_by_app_in_bounded_memory(tries):
    heap, expected = Heap(), {}
    for number, (app, reason, count) in enumerate(tries):
        event = PushEvent("push-rejected", APNS, app, "", "list", reason, uuid=str(number))
        heap.add(event, count)
        expected[app] = expected.get(app, 0) + count

    events = heap.take()

    assert len(events) <= REASONS_LIMIT + 3
    assert {app: sum(n for e, n in events if e.app == app) for app in expected} == expected
