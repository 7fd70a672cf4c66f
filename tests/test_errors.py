import pickle

import pytest

from pushtasks import errors


@pytest.mark.parametrize(
    "kind",
    [
        errors.InvalidPush,
        errors.InvalidSettings,
        errors.PushError,
        errors.PushMaybeSent,
        errors.PushNotSent,
    ],
)
def test_an_error_survives_the_ways_in_which_celery_rebuilds_it(kind):
    error = kind("what, why and what to do")

    for rebuilt in (type(error)(*error.args), pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert (type(rebuilt), str(rebuilt)) == (kind, "what, why and what to do")


def test_what_a_caller_or_an_operator_got_wrong_is_a_value_error():
    assert issubclass(errors.InvalidPush, ValueError)
    assert issubclass(errors.InvalidSettings, ValueError)
