from hypothesis import given
from hypothesis import strategies as st

from pushtasks.net.window import FIRST_SIZE, Window


def answers(window, latency, count):
    for _ in range(count):
        window.note(latency)
    return window.size


def test_it_begins_with_a_hundred():
    assert Window(1000).size == FIRST_SIZE == 100


def test_it_never_exceeds_what_the_server_allows():
    assert Window(30).size == 30
    assert answers(Window(30), 0.06, 1000) == 30
    assert answers(Window(1000), 10.0, 100_000) == 1000


def test_far_away_it_doubles_with_every_round():
    window = Window(1000)
    sizes = []
    while window.size < 1000:
        sizes.append(window.size)
        answers(window, 0.06, window.size)
    assert sizes == [100, 200, 400, 800]


def test_near_by_it_stays_small():
    assert answers(Window(1000), 0.0005, 100_000) == 100


def test_one_slow_answer_does_not_widen_it():
    window = Window(1000)
    window.note(2.0)
    assert answers(window, 0.001, 10_000) == 100


def test_answers_that_queue_in_a_near_server_do_not_widen_it():
    window = Window(1000)
    window.note(0.001)
    assert answers(window, 0.1, 10_000) == 100


def test_it_shrinks_once_a_quick_answer_shows_that_the_server_is_near():
    window = Window(1000)
    assert answers(window, 0.06, 10_000) == 1000
    window.note(0.001)
    assert answers(window, 0.06, 1000) == 100


@given(
    limit=st.integers(1, 5000),
    latencies=st.lists(st.floats(0, 100), max_size=300),
)
def test_its_size_stays_between_the_first_and_the_limit(limit, latencies):
    window = Window(limit)
    for latency in latencies:
        window.note(latency)
        assert min(limit, FIRST_SIZE) <= window.size <= limit
