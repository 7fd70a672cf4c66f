"""The table of reasons, row by row as Apple and Google publish it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.results import APNS, GCM, Action, Verdict
from pushtasks.retries import (
    APNS_RULES,
    FCM_RULES,
    LONGEST_PAUSE,
    Before,
    Rule,
    pause_before,
    rule_for,
    silence_after,
)
from pushtasks.wire import apns_http2, fcm

BUG = (Action.FIX_REQUEST, None, Before.NOTHING)
CONFIG = (Action.FIX_CONFIG, None, Before.NOTHING)
TOKEN = (Action.DROP_TOKEN, None, Before.NOTHING)
SLOW = (Action.RETRY_LATER, 10.0, Before.NOTHING)
CONNECTION = (Action.RETRY_LATER, 0.0, Before.NEW_CONNECTION)
AUTH = (Action.FIX_CONFIG, 0.0, Before.NEW_TOKEN)

APNS_ROWS = [
    (400, "BadCollapseId", BUG),
    (400, "BadDeviceToken", TOKEN),
    (400, "BadExpirationDate", BUG),
    (400, "BadMessageId", BUG),
    (400, "BadPriority", BUG),
    (400, "BadTopic", CONFIG),
    (400, "DeviceTokenNotForTopic", TOKEN),
    (400, "DuplicateHeaders", BUG),
    (400, "IdleTimeout", CONNECTION),
    (400, "InvalidPushType", BUG),
    (400, "MissingDeviceToken", BUG),
    (400, "MissingTopic", CONFIG),
    (400, "PayloadEmpty", BUG),
    (400, "TopicDisallowed", CONFIG),
    (403, "BadCertificate", CONFIG),
    (403, "BadCertificateEnvironment", CONFIG),
    (403, "BadEnvironmentKeyIdInToken", CONFIG),
    (403, "BadEnvironmentKeyInToken", CONFIG),
    (403, "ExpiredProviderToken", AUTH),
    (403, "Forbidden", CONFIG),
    (403, "InvalidProviderToken", CONFIG),
    (403, "MissingProviderToken", CONFIG),
    (403, "UnrelatedKeyIdInToken", CONNECTION),
    (404, "BadPath", BUG),
    (405, "MethodNotAllowed", BUG),
    (410, "ExpiredToken", TOKEN),
    (410, "Unregistered", TOKEN),
    (413, "PayloadTooLarge", BUG),
    (429, "TooManyProviderTokenUpdates", SLOW),
    (429, "TooManyRequests", SLOW),
    (500, "InternalServerError", SLOW),
    (503, "ServiceUnavailable", SLOW),
    (503, "Shutdown", CONNECTION),
]

FCM_ROWS = [
    (500, "UNSPECIFIED_ERROR", SLOW),
    (400, "INVALID_ARGUMENT", BUG),
    (404, "UNREGISTERED", TOKEN),
    (403, "SENDER_ID_MISMATCH", CONFIG),
    (429, "QUOTA_EXCEEDED", (Action.RETRY_LATER, 60.0, Before.NOTHING)),
    (503, "UNAVAILABLE", SLOW),
    (500, "INTERNAL", SLOW),
    (401, "THIRD_PARTY_AUTH_ERROR", CONFIG),
    # Without an FcmError: about us, not about the device.
    (400, "BAD_REQUEST", BUG),
    (401, "UNAUTHENTICATED", AUTH),
    (403, "PERMISSION_DENIED", CONFIG),
    (404, "NOT_FOUND", CONFIG),
    (429, "RESOURCE_EXHAUSTED", (Action.RETRY_LATER, 60.0, Before.NOTHING)),
    (502, "HTTP 502", (Action.RETRY_LATER, 30.0, Before.NOTHING)),
]


@pytest.mark.parametrize(("status", "reason", "meaning"), APNS_ROWS)
def test_an_apns_reason_means_what_apple_says(status, reason, meaning):
    rule = rule_for(APNS, Verdict(status, reason))

    assert (rule.action, rule.pause, rule.before) == meaning


@pytest.mark.parametrize(("status", "reason", "meaning"), FCM_ROWS)
def test_an_fcm_error_code_means_what_google_says(status, reason, meaning):
    rule = rule_for(GCM, Verdict(status, reason))

    assert (rule.action, rule.pause, rule.before) == meaning


def test_every_published_reason_has_its_row_here_and_in_the_table():
    assert {reason: status for status, reason, _ in APNS_ROWS} == dict(apns_http2.REASONS)
    assert set(APNS_RULES) == set(apns_http2.REASONS)
    assert set(FCM_RULES) >= set(fcm.ERROR_CODES) | set(fcm.GENERAL_REASONS.values())
    assert {reason for _, reason, _ in FCM_ROWS} >= set(FCM_RULES)


@pytest.mark.parametrize(
    ("status", "action", "is_final"),
    [
        (400, Action.FIX_REQUEST, True),
        (401, Action.FIX_CONFIG, True),
        (403, Action.FIX_CONFIG, True),
        (404, Action.FIX_CONFIG, True),
        (405, Action.FIX_REQUEST, True),
        (410, Action.DROP_TOKEN, True),
        (413, Action.FIX_REQUEST, True),
        (418, Action.FIX_REQUEST, True),
        (429, Action.RETRY_LATER, False),
        (500, Action.RETRY_LATER, False),
        (502, Action.RETRY_LATER, False),
        (503, Action.RETRY_LATER, False),
        (507, Action.RETRY_LATER, False),
    ],
)
def test_an_unknown_reason_is_judged_by_its_status(status, action, is_final):
    for provider in (APNS, GCM):
        rule = rule_for(provider, Verdict(status, "NeverHeardOf"))

        assert (rule.action, rule.is_final) == (action, is_final)


def test_a_lost_answer_is_worth_another_try_soon():
    rule = rule_for(APNS, Verdict(None, "the connection was lost"))

    assert [pause_before(rule, tries, None, 0.0) for tries in range(4)] == [1, 2, 4, 8]


def test_pauses_double_up_to_a_quarter_of_an_hour():
    rule = rule_for(GCM, Verdict(503, "UNAVAILABLE"))

    pauses = [pause_before(rule, tries, None, 0.0) for tries in range(9)]

    assert pauses == [10, 20, 40, 80, 160, 320, 640, 900, 900]


def test_a_new_connection_is_used_at_once_and_then_less_eagerly():
    rule = rule_for(APNS, Verdict(503, "Shutdown"))

    assert [pause_before(rule, tries, None, 0.0) for tries in range(4)] == [0, 1, 2, 4]


def test_a_provider_that_names_a_time_is_asked_then_and_later_if_that_does_not_help():
    rule = rule_for(APNS, Verdict(503, "ServiceUnavailable"))

    assert [pause_before(rule, tries, 1.0, 0.0) for tries in range(4)] == [1, 2, 4, 8]


def test_an_oauth_token_is_renewed_once_only():
    assert rule_for(GCM, Verdict(401, "UNAUTHENTICATED")).limit == 1


@given(
    tries=st.integers(0, 50),
    retry_after=st.none() | st.floats(0, 100_000),
    chance=st.floats(0, 1),
    first=st.floats(0, 1000),
)
def test_a_provider_is_never_asked_earlier_than_it_wants(tries, retry_after, chance, first):
    rule = Rule(Action.RETRY_LATER, pause=first)

    pause = pause_before(rule, tries, retry_after, chance)

    assert pause >= (retry_after or 0)
    assert pause <= 1.25 * max(LONGEST_PAUSE, retry_after or 0)


@pytest.mark.parametrize(
    ("provider", "status", "reason", "retry_after", "seconds"),
    [
        (GCM, 429, "QUOTA_EXCEEDED", None, 60.0),
        (GCM, 429, "QUOTA_EXCEEDED", 7.0, 7.0),
        (GCM, 429, "RESOURCE_EXHAUSTED", 7.0, 7.0),
        (GCM, 503, "UNAVAILABLE", 7.0, 7.0),
        (GCM, 503, "UNAVAILABLE", None, 0.0),
        (GCM, 200, "Unavailable", 7.0, 0.0),
        (GCM, 404, "UNREGISTERED", None, 0.0),
        (APNS, 429, "TooManyProviderTokenUpdates", None, 10.0),
        (APNS, 429, "TooManyRequests", 7.0, 0.0),
        (APNS, 503, "ServiceUnavailable", 7.0, 7.0),
        (APNS, None, "timed out", None, 0.0),
        (APNS, 200, None, None, 0.0),
    ],
)
def test_an_app_is_silent_only_if_the_answer_is_about_more_than_the_device(
    provider, status, reason, retry_after, seconds
):
    assert silence_after(provider, Verdict(status, reason, retry_after=retry_after)) == seconds
