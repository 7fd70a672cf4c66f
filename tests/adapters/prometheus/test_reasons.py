"""Reasons as labels: few, whatever a provider says."""

import pytest

from pushtasks.adapters.prometheus.reasons import reason_label


@pytest.mark.parametrize(
    ("reason", "status", "label"),
    [
        (None, 200, ""),
        (None, None, ""),
        ("Unregistered", 410, "Unregistered"),
        ("UNREGISTERED", 404, "UNREGISTERED"),
        ("InvalidToken", 8, "InvalidToken"),
        ("NotRegistered", 200, "NotRegistered"),
        ("Shutdown", None, "Shutdown"),
        ("InvalidPush", None, "InvalidPush"),
        ("KnownDead", None, "KnownDead"),
        ("no answer in time (Operation timed out after 10001 milliseconds)", None, "unanswered"),
        ("SomethingAppleInvented", 418, "other"),
    ],
)
def test_a_reason_is_a_label_if_it_is_known(reason, status, label):
    assert reason_label(reason, status) == label
