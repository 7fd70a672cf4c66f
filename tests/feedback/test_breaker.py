"""When tokens are not to be called dead, told by the clock that it is given."""

from pushtasks.feedback.breaker import BUCKET, Window, is_too_much


def test_pushes_count_for_the_rest_of_their_ten_minutes_and_the_ten_after():
    window = Window()

    assert window.add(3, 10, now=BUCKET * 5.0) == (3, 10)
    assert window.add(1, 10, now=BUCKET * 5.9) == (4, 20)
    assert window.add(0, 10, now=BUCKET * 6.9) == (4, 30)
    assert window.add(0, 10, now=BUCKET * 7.0) == (0, 20)
    assert window.add(2, 2, now=BUCKET * 9.0) == (2, 2)


def test_a_share_up_to_the_setting_is_not_too_much():
    assert not is_too_much(5, 10, 0.5)
    assert is_too_much(6, 10, 0.5)
    assert is_too_much(1, 0, 0.5)
    assert not is_too_much(10, 10, 1.0)
