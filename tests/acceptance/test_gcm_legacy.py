"""GCM as of 2012 to 2024, through a real worker: the app `classic` of the emulator's settings."""

import pytest

TIMEOUT = 60
MANY = 2500


@pytest.fixture
def worker(start_worker):
    return start_worker("-P", "threads", "-c", "8")


@pytest.fixture
def requests(emulator):
    """() → how many HTTP requests have come."""
    return lambda: emulator.control("GET", "/stats")["gcm"]["requests"]


def outcomes(result):
    return [(one["outcome"], one["action"]) for one in result["results"]]


def script_some(emulator):
    emulator.control("PUT", "/tokens/gone", {"reason": "NotRegistered"})
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})
    busy = {"reason": "Unavailable", "times": 1, "retry_after": 1}
    emulator.control("PUT", "/tokens/busy", busy)


def test_2500_ids_are_three_requests_and_only_what_is_unavailable_goes_out_again(
    worker, tasks, emulator, requests, report
):
    script_some(emulator)
    ids = [f"id{number}" for number in range(MANY)]
    ids[7], ids[1234], ids[2499] = "gone", "old", "busy"

    with report("2500 ids by GCM, one of them again after 1 s", MANY):
        result = tasks.send_gcm.delay(ids, {"data": {"n": 1}}, app="classic").get(TIMEOUT)

    assert requests() == 4
    assert [one["token"] for one in result["results"]] == ids
    assert (result["success"], result["failure"], result["canonical_ids"]) == (MANY - 1, 1, 1)
    special = {
        place: (one["outcome"], one["action"], one["reason"], one["canonical_id"])
        for place, one in enumerate(result["results"])
        if one["action"] != "none"
    }
    assert special == {
        7: ("rejected", "drop_token", "NotRegistered", None),
        1234: ("accepted", "replace_token", None, "new"),
    }
    *first, last = emulator.received()
    assert [entry["token"] for entry in first] == ids
    assert last["token"] == "busy"
    assert last["at"] - first[-1]["at"] >= 1.0


def test_many_sums_up_what_went_wrong_and_what_is_to_be_replaced(
    worker, tasks, emulator, requests, report
):
    script_some(emulator)
    ids = [f"id{number}" for number in range(MANY - 3)] + ["gone", "old", "busy"]

    with report("2500 ids by GCM, summed up", MANY):
        result = tasks.send_gcm_many.delay(ids, "Hi", app="classic").get(TIMEOUT)

    assert requests() == 4
    assert (result["accepted"], result["rejected"]) == (MANY - 1, 1)
    assert (result["not_sent"], result["maybe_sent"], result["canonical_ids"]) == (0, 0, 1)
    [failure], [replacement] = result["failures"], result["replacements"]
    assert (failure["token"], failure["action"]) == ("gone", "drop_token")
    assert (replacement["token"], replacement["canonical_id"]) == ("old", "new")


def test_a_device_named_twice_has_two_results(worker, tasks, emulator, requests):
    script_some(emulator)
    ids = ["busy", "a", "gone", "busy", "a", "old", "gone"]

    result = tasks.send_gcm.delay(ids, "Hi", app="classic").get(TIMEOUT)

    accepted, dead = ("accepted", "none"), ("rejected", "drop_token")
    replaced = ("accepted", "replace_token")
    assert outcomes(result) == [accepted, accepted, dead, accepted, accepted, replaced, dead]
    assert [one["token"] for one in result["results"]] == ids
    message_ids = [one["message_id"] for one in result["results"] if one["message_id"]]
    assert len(set(message_ids)) == 5
    # Of the two that go to the same device, one was unavailable, once.
    assert [entry["token"] for entry in emulator.received()] == [*ids, "busy"]
    assert requests() == 2


def test_a_busy_server_gets_the_whole_list_again_when_it_wants(worker, tasks, emulator, requests):
    fault = {"service": "gcm", "status": 503, "times": 1, "retry_after": 1}
    emulator.control("POST", "/faults", fault)

    result = tasks.send_gcm.delay(["a", "b"], "Hi", app="classic").get(TIMEOUT)

    assert outcomes(result) == [("accepted", "none")] * 2
    received = emulator.received()
    assert [entry["token"] for entry in received] == ["a", "b", "a", "b"]
    assert received[2]["at"] - received[1]["at"] >= 1.0


def test_a_device_group_is_named_with_the_members_that_were_not_reached(worker, tasks, emulator):
    emulator.control("PUT", "/tokens/family", {"group": ["mother", "father-device"]})
    emulator.control("PUT", "/tokens/father-device", {"reason": "NotRegistered"})

    group = {"notification_key": "family"}
    result = tasks.send_gcm.delay(group, "Hi", app="classic").get(TIMEOUT)

    assert (result["outcome"], result["token"]) == ("accepted", "notification_key:family")
    assert result["failed_registration_ids"] == ["father-device"]
    assert "father-device" not in worker.log


def test_a_message_in_v1_fields_arrives_in_legacy_ones(worker, tasks, emulator):
    payload = {
        "notification": {"title": "T"},
        "android": {"ttl": "0s", "priority": "HIGH", "notification": {"channel_id": "c"}},
    }

    result = tasks.send_gcm.delay("a", payload, app="classic").get(TIMEOUT)

    assert result["outcome"] == "accepted"
    [entry] = emulator.received()
    assert entry["payload"] == {
        "notification": {"title": "T", "android_channel_id": "c"},
        "time_to_live": 0,
        "priority": "high",
    }
