import pytest

from pushtasks.net.patience import Patience


def after(*answers):
    patience = Patience()
    for seconds in answers:
        patience.note(seconds)
    return patience.seconds


def test_an_unknown_or_quick_server_gets_a_second_and_a_half():
    assert after() == 1.5
    assert after(0.001, 0.3) == 1.5


def test_a_slow_server_gets_four_times_its_slowest_answer():
    assert after(2.0) == 8.0
    assert after(0.1, 1.0, 0.1) == pytest.approx(4.0, rel=0.02)


def test_nobody_waits_for_more_than_ten_seconds():
    assert after(60.0) == 10.0


def test_quick_answers_make_it_forget_a_slow_one():
    assert after(2.0, *[0.05] * 1000) == 1.5
