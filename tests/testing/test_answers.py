"""The outbox answers as the pretend providers do."""

import pytest

from pushtasks import PushMaybeSent, PushNotSent, send_apns, send_gcm
from pushtasks.config.tables import merged
from pushtasks.retries import APNS_RULES, FCM_RULES, GATEWAY_RULES, GCM_RULES
from pushtasks.testing import emulator, outbox
from pushtasks.testing.answers import check_reason
from pushtasks.wire import apns_binary, apns_http2, fcm, gcm

DEVICE = "0123456789abcdef" * 4
#: No second try, and no long wait for the gateway's silence.
SETTINGS = {
    "apns": {"default": {"retries": 0}, "classic": {"retries": 0, "assume_sent": 0.05}},
    "gcm": {"default": {"retries": 0}, "classic": {"retries": 0}},
}
CLASSIC = {
    "apns": {"classic": {"protocol": "binary"}},
    "gcm": {"classic": {"protocol": "legacy"}},
}
#: What no device is rejected for: the gateway's word for none, and what a whole request meets.
NO_DEVICE = {"NoErrors", *gcm.STATUS_REASONS.values(), *fcm.GENERAL_REASONS.values()}
NO_DEVICE |= set(fcm.PASSING_STATUSES.values()) - fcm.ERROR_CODES.keys()


def each_case():
    apps = [
        (send_apns, "default", APNS_RULES.keys() & apns_http2.REASONS.keys()),
        (send_apns, "classic", GATEWAY_RULES.keys() & set(apns_binary.STATUSES.values())),
        (send_gcm, "default", FCM_RULES.keys() & fcm.ERROR_CODES.keys()),
        (send_gcm, "classic", GCM_RULES.keys() & gcm.ERRORS),
    ]
    for task, app, reasons in apps:
        for reason in sorted(reasons - NO_DEVICE):
            yield pytest.param(task, app, reason, id=f"{task.name}-{app}-{reason}")


CASES = list(each_case())


def outcome(task, app, providers, reason, **more):
    """Return what a push to a device that is rejected so ends with, without what differs anyhow."""
    providers.reject(DEVICE, reason, **more)
    try:
        result = task.delay(DEVICE, "Hi", app=app).get()
    except (PushNotSent, PushMaybeSent) as error:
        return type(error), str(error)
    return {**result, "message_id": None, "dead_since": bool(result["dead_since"])}


@pytest.fixture(scope="module")
def ends(push_emulator_running):
    """What each case ends with at the pretend providers, all of them sent one after the other."""
    found = {}
    with emulator(SETTINGS, running=push_emulator_running) as providers:
        for case in CASES:
            task, app, reason = case.values
            found[case.id] = outcome(task, app, providers, reason)
    return found


@pytest.mark.parametrize(("task", "app", "reason"), CASES)
def test_a_rejection_is_that_of_the_provider(task, app, reason, ends):
    with outbox(merged(SETTINGS, CLASSIC)) as pushes:
        assert outcome(task, app, pushes, reason) == ends[f"{task.name}-{app}-{reason}"]


@pytest.mark.parametrize(
    ("app", "reasons"),
    [
        ("default", ["Unregistered", "UNREGISTERED"]),
        ("classic", ["InvalidToken", "NotRegistered"]),
    ],
)
def test_a_device_that_is_gone_is_called_so_in_the_words_of_the_protocol(app, reasons):
    with outbox(CLASSIC) as pushes:
        pushes.reject(DEVICE, "Unregistered")

        apns, gcm = (task.delay(DEVICE, "Hi", app=app).get() for task in (send_apns, send_gcm))

    assert [apns["reason"], gcm["reason"]] == reasons


def test_a_misspelt_reason_is_refused_with_the_one_that_was_meant():
    with pytest.raises(ValueError, match=r"'Unregisterd' is none .* did you mean 'Unregistered'"):
        check_reason("Unregisterd", None)


def test_a_reason_that_nobody_has_needs_a_status():
    assert check_reason("SolarFlare", 500) == "SolarFlare"
    with pytest.raises(ValueError, match="'SolarFlare' is none of Apple's or Google's"):
        check_reason("SolarFlare", None)
