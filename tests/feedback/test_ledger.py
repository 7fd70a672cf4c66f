"""What one try of a task has to tell: each device is counted once over all its tries."""

from datetime import UTC, datetime

import pytest

from pushtasks.errors import InvalidPush
from pushtasks.feedback.ledger import Try, abandoned, count
from pushtasks.news import Kind
from pushtasks.results import APNS, GCM, Action, Outcome, Result, Verdict
from pushtasks.sending.delivery import Device, Devices, Policy, deliver_many
from pushtasks.sending.gathering import Listing, Summary
from pushtasks.sending.progress import Progress

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SINCE = datetime(2026, 4, 1, 12, tzinfo=UTC)
ONE = Try(APNS, "default", "production", is_first=True, tried=1)
GONE = Result(
    APNS,
    "default",
    "ab",
    Outcome.REJECTED,
    Action.DROP_TOKEN,
    status=410,
    reason="Unregistered",
    dead_since=SINCE,
)


def test_an_accepted_push_is_an_attempt_and_accepted():
    tally = count(ONE, [], NOW)

    assert (tally.attempts, tally.accepted, tally.pending, tally.news) == (1, 1, 0, ())
    assert (tally.provider, tally.app, tally.environment) == (APNS, "default", "production")


def test_a_dead_token_is_news():
    tally = count(ONE, [("ab", GONE)], NOW)

    assert (tally.accepted, tally.rejected, tally.unjudged) == (0, {"Unregistered": 1}, 0)
    [news] = tally.news
    assert (news.kind, news.token, news.reason, news.status) == (
        Kind.EXPIRED,
        "ab",
        "Unregistered",
        410,
    )
    assert (news.dead_since, news.seen_at) == (SINCE, NOW)


def test_a_rejection_that_says_nothing_of_the_device_is_no_news():
    tally = count(ONE, [("ab", result("PayloadTooLarge", 413, Action.FIX_REQUEST))], NOW)

    assert (tally.rejected, tally.news) == ({"PayloadTooLarge": 1}, ())


def test_a_push_that_could_not_be_made_is_counted_without_its_words():
    refused = result("device token 'x…' has characters", None, Action.FIX_REQUEST)

    tally = count(ONE, [("x", refused)], NOW)

    assert (tally.rejected, tally.unjudged) == ({"InvalidPush": 1}, 1)


def test_a_device_that_is_known_to_be_dead_is_no_news_again():
    tally = count(ONE, [("ab", result("KnownDead", None, Action.DROP_TOKEN))], NOW)

    assert (tally.rejected, tally.unjudged, tally.news) == ({"KnownDead": 1}, 1, ())


def result(reason, status, action, provider=APNS, **more):
    return Result(
        provider, "default", "ab", Outcome.REJECTED, action, reason=reason, status=status, **more
    )


@pytest.mark.parametrize(
    ("entry", "token"),
    [
        ("ab", "ab"),
        ({"token": "cd"}, "cd"),
        ({"fid": "f"}, "ab"),
        ("/topics/ab", None),
        ({"topic": "ab"}, None),
        ({"condition": "ab"}, None),
        ({"notification_key": "ab"}, None),
    ],
)
def test_only_devices_die(entry, token):
    gone = result("UNREGISTERED", 404, Action.DROP_TOKEN, GCM)

    tally = count(ONE._replace(provider=GCM), [(entry, gone)], NOW)

    assert [news.token for news in tally.news] == ([token] if token else [])


def test_a_canonical_id_is_news_beside_being_accepted():
    replaced = Result(
        GCM, "default", "old", Outcome.ACCEPTED, Action.REPLACE_TOKEN, 200, canonical_id="new"
    )

    tally = count(ONE._replace(provider=GCM), [("old", replaced)], NOW)

    assert (tally.accepted, tally.canonical_ids) == (1, 1)
    [news] = tally.news
    assert (news.kind, news.token, news.canonical_id) == (Kind.REPLACED, "old", "new")


def test_a_list_over_several_tries_counts_each_device_once():
    busy, lost = Verdict(503, "ServiceUnavailable"), Verdict(None, "lost", maybe_sent=True)
    gone, good = Verdict(410, "Unregistered"), Verdict(200)
    tries = [
        {0: good, 1: busy, 2: gone, 3: lost, 4: busy},
        {1: busy, 3: good, 4: gone},
        {1: busy},
    ]
    tallies = [try_of(number, verdicts) for number, verdicts in enumerate(tries)]

    assert [tally.attempts for tally in tallies] == [6, 0, 0]
    assert [tally.pending for tally in tallies] == [3, -2, -1]
    assert [tally.accepted for tally in tallies] == [1, 1, 0]
    assert [tally.not_sent for tally in tallies] == [0, 0, 1]
    assert [tally.rejected for tally in tallies] == [
        {"Unregistered": 1, "InvalidPush": 1},
        {"Unregistered": 1},
        {},
    ]
    assert [tally.unjudged for tally in tallies] == [1, 0, 0]
    assert [[news.token for news in tally.news] for tally in tallies] == [["t2"], ["t4"], []]
    assert sum(total(tally) for tally in tallies) == 6


def try_of(number, verdicts):
    """Run a try of a task whose third is the last; in its first, device 5 cannot be sent to."""
    devices = [Device(place, f"t{place}", f"push {place}") for place in verdicts]
    if number == 0:
        devices.append(Device(5, "t5", InvalidPush("no")))
    gathering = Summary(APNS, "default", {})
    policy = Policy(APNS, "default", retries=2, resend=True)
    answers = list(verdicts.values())
    later = deliver_many(
        policy, Progress(tries=number), Devices.of(devices), lambda _: answers, gathering
    )
    one = Try(
        APNS,
        "default",
        "",
        is_first=number == 0,
        tried=len(devices),
        left=len(later.places) if later else 0,
    )
    return count(one, [(f"t{place}", it) for place, it in gathering.settled], NOW)


def total(tally):
    settled = tally.accepted + sum(tally.rejected.values()) + tally.not_sent + tally.maybe_sent
    return settled + tally.pending


def test_results_of_earlier_tries_are_not_told_again():
    listing = Listing("default", "m", {})
    listing.add(0, GONE)
    listing.accept(1, "t1", Verdict(200))

    resumed = Listing("default", "m", listing.state())

    assert listing.settled == [(0, GONE)]
    assert resumed.settled == []
    assert len(resumed.to_dict()["results"]) == 2


def test_a_push_that_is_given_up_at_once_waits_for_nothing():
    tally = count(ONE._replace(tried=3, given_up=3), [], NOW)

    assert (tally.attempts, tally.not_sent, tally.pending, tally.accepted) == (3, 3, 0, 0)


def test_devices_of_a_task_that_failed_before_its_next_try_wait_no_more():
    again = {"tokens": ["a", "b"], "app": "default", "_progress": {"tries": 1}}

    tally = abandoned(APNS, again)

    assert (tally.app, tally.pending, tally.not_sent, tally.attempts) == ("default", -2, 2, 0)
    assert abandoned(APNS, {**again, "_progress": {"tries": 0}}) is None
    assert abandoned(GCM, {"registration_ids": "a", "app": "default"}) is None
    single = {"token": "a", "app": "default", "_progress": {"tries": 2}}
    assert abandoned(APNS, single).pending == -1
