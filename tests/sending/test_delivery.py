"""What becomes of pushes after one try, without any provider: verdicts in, decisions out."""

import pytest

from pushtasks.errors import InvalidPush, PushMaybeSent, PushNotSent
from pushtasks.results import APNS, GCM, Verdict
from pushtasks.sending.delivery import Device, Devices, Later, Policy, deliver_many, deliver_one
from pushtasks.sending.gathering import Listing, Summary
from pushtasks.sending.progress import Progress
from pushtasks.sending.task_base import MaskedDict

POLICY = Policy(APNS, "default", retries=5, resend=True)
REPORT = POLICY._replace(resend=False)
TOKEN = "ab" * 32
ACCEPTED = Verdict(200, message_id="m")
LOST = Verdict(None, "the connection was lost", maybe_sent=True)
REFUSED = Verdict(None, "no connection")
BUSY = Verdict(503, "ServiceUnavailable", retry_after=30.0)
GONE = Verdict(410, "Unregistered")


def outcome(result):
    return result.outcome, result.action


def test_an_accepted_push_is_a_result():
    assert outcome(deliver_one(POLICY, Progress(), TOKEN, ACCEPTED)) == ("accepted", "none")


def test_a_rejection_is_a_result_and_no_error():
    assert outcome(deliver_one(POLICY, Progress(), TOKEN, GONE)) == ("rejected", "drop_token")


def test_a_busy_provider_is_asked_again_not_before_it_wants():
    later = deliver_one(POLICY, Progress(), TOKEN, BUSY)

    assert isinstance(later, Later)
    assert 30 <= later.pause <= 37.5


def test_a_push_that_used_up_its_tries_fails_with_the_last_reason_and_no_token():
    with pytest.raises(PushNotSent) as caught:
        deliver_one(POLICY, Progress(tries=5), TOKEN, BUSY)

    assert "ServiceUnavailable" in str(caught.value)
    assert "try 6 of 6" in str(caught.value)
    assert TOKEN[:6] in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_push_whose_answer_is_lost_goes_out_again():
    assert isinstance(deliver_one(POLICY, Progress(), TOKEN, LOST), Later)


def test_a_push_whose_answer_is_lost_is_reported_where_the_settings_say_so():
    with pytest.raises(PushMaybeSent):
        deliver_one(REPORT, Progress(), TOKEN, LOST)


def test_a_push_that_never_left_goes_out_again_even_then():
    assert isinstance(deliver_one(REPORT, Progress(), TOKEN, REFUSED), Later)


def test_a_push_that_may_have_been_sent_once_is_never_called_not_sent_later():
    progress = Progress()
    deliver_one(POLICY, progress, TOKEN, LOST)
    progress.tries = 5

    with pytest.raises(PushMaybeSent):
        deliver_one(POLICY, progress, TOKEN, REFUSED)


def test_a_provider_token_that_stays_expired_after_renewal_is_a_matter_of_configuration():
    expired = Verdict(403, "ExpiredProviderToken")

    assert isinstance(deliver_one(POLICY, Progress(tries=1), TOKEN, expired), Later)
    assert outcome(deliver_one(POLICY, Progress(tries=2), TOKEN, expired)) == (
        "rejected",
        "fix_config",
    )


def devices(*pushes):
    return Devices.of(Device(place, f"token{place}", push) for place, push in enumerate(pushes))


def test_devices_are_sorted_out_and_iterated_over_by_place():
    error = InvalidPush("x")

    made = devices("a", GONE, "c", error)

    assert (made.places, made.tokens, made.pushes) == ((0, 2), ("token0", "token2"), ("a", "c"))
    assert [device.push for device in made.settled] == [GONE, error]
    assert [device.push for device in made] == ["a", GONE, "c", error]
    assert len(made) == 4
    assert "token0" not in repr(made)


def test_of_a_list_only_what_needs_it_is_tried_again():
    verdicts = {"a": ACCEPTED, "b": BUSY, "c": GONE, "d": REFUSED}
    gathering = Summary(APNS, "default", {})

    later = deliver_many(
        POLICY,
        Progress(),
        devices(*verdicts),
        lambda pushes: [verdicts[p] for p in pushes],
        gathering,
    )

    assert later.places == [1, 3]
    assert later.pause >= 30
    assert "2 of 4 devices" in str(later.error)
    result = gathering.to_dict()
    assert (result["accepted"], result["rejected"], result["not_sent"]) == (1, 1, 0)
    assert [failure["token"] for failure in result["failures"]] == ["token2"]


def test_a_list_that_used_up_its_tries_names_what_is_left():
    gathering = Summary(APNS, "default", {})

    later = deliver_many(
        POLICY, Progress(tries=5), devices("a", "b"), lambda _: [LOST, REFUSED], gathering
    )

    assert later is None
    result = gathering.to_dict()
    assert (result["maybe_sent"], result["not_sent"]) == (1, 1)
    assert [failure["outcome"] for failure in result["failures"]] == ["maybe_sent", "not_sent"]


def test_a_device_that_cannot_be_sent_to_does_not_hold_the_others_up():
    sent = []
    gathering = Summary(APNS, "default", {})

    deliver_many(
        POLICY,
        Progress(),
        devices("a", InvalidPush("device token 'x': no hex"), "c"),
        lambda pushes: sent.extend(pushes) or [ACCEPTED] * len(pushes),
        gathering,
    )

    assert sent == ["a", "c"]
    [failure] = gathering.to_dict()["failures"]
    assert failure["reason"] == "device token 'x': no hex"
    assert (failure["outcome"], failure["action"]) == ("rejected", "fix_request")


def test_nothing_is_sent_where_no_device_is_left_to_send_to():
    def send(_):
        raise AssertionError("called")

    gathering = Summary(APNS, "default", {})

    assert deliver_many(POLICY, Progress(), devices(InvalidPush("x")), send, gathering) is None


def test_a_canonical_id_is_a_replacement_beside_being_accepted():
    gathering = Summary(GCM, "default", {})

    deliver_many(
        POLICY._replace(provider=GCM),
        Progress(),
        devices("a"),
        lambda _: [Verdict(200, message_id="m", canonical_id="new")],
        gathering,
    )

    result = gathering.to_dict()
    assert (result["accepted"], result["canonical_ids"], result["failures"]) == (1, 1, [])
    [replacement] = result["replacements"]
    assert (replacement["canonical_id"], replacement["action"]) == ("new", "replace_token")


def test_the_results_of_a_list_are_in_its_order_whatever_try_they_are_from():
    gathering = Listing("default", "m", {})
    gathering.accept(2, "c", ACCEPTED)
    gathering.accept(0, "a", ACCEPTED)

    resumed = Listing("default", "m", gathering.state())
    resumed.accept(1, "b", ACCEPTED)

    result = resumed.to_dict()
    assert [one["token"] for one in result["results"]] == ["a", "b", "c"]
    assert (result["success"], result["failure"], result["multicast_id"]) == (3, 0, "m")


def test_progress_survives_the_way_through_the_broker():
    progress = Progress(tries=2, not_before=5.0, places=[3, 4], maybe_sent={4}, gathered={"x": 1})

    assert Progress.of(progress.to_argument()) == progress
    assert Progress.of(None) == Progress()


def test_progress_written_by_hand_is_refused():
    for nonsense in ({"tires": 1}, "x", 5):
        with pytest.raises(InvalidPush, match="leave it out"):
            Progress.of(nonsense)


def test_a_device_group_reached_in_part_is_accepted_and_named_with_those_who_failed():
    verdict = Verdict(200, failed_registration_ids=("first-member", "second"))
    gathering = Summary(GCM, "default", {})

    later = deliver_many(
        POLICY._replace(provider=GCM), Progress(), devices("a"), lambda _: [verdict], gathering
    )

    result = gathering.to_dict()
    assert (later, result["accepted"], result["rejected"]) == (None, 1, 0)
    [failure] = result["failures"]
    assert failure["failed_registration_ids"] == ["first-member", "second"]
    assert (failure["outcome"], failure["action"]) == ("accepted", "none")
    assert "first-member" not in repr(MaskedDict(result))
    assert "first-…" in repr(MaskedDict(result))


def test_only_a_group_that_was_reached_in_part_has_the_key_for_it():
    result = deliver_one(POLICY, Progress(), TOKEN, ACCEPTED)

    assert "failed_registration_ids" not in result.to_dict()
