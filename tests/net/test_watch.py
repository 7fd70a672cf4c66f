"""What is accepted is told while the rest is outstanding, each push once."""

import threading

from pushtasks.net.multiplexer import NOT_YET
from pushtasks.net.watch import Watch
from pushtasks.results import Verdict


def test_each_accepted_push_is_told_once():
    told = []
    answers = [NOT_YET] * 4
    watch = Watch(lambda _, answer: Verdict(*answer), told.append, NOT_YET)

    watch.look(answers)
    answers[2] = (200,)
    watch.look(answers)
    answers[0], answers[3] = (410, "Unregistered"), (200,)
    watch.look(answers)
    watch.look(answers)

    assert told == [[(2, Verdict(200))], [(3, Verdict(200))]]


def test_a_slow_answer_does_not_hide_those_that_came(multiplexer, apns, wait_until):
    """One answer of a submission is held back; the others are told meanwhile, by who waits."""
    origin = apns.origin()
    multiplexer.exchange(origin, apns.pushes(1), 5.0)  # a new connection carries one at first
    apns.fault(delay=0.5, times=1)
    told, teller = [], set()

    def tell(accepted):
        told.extend(place for place, _ in accepted)
        teller.add(threading.current_thread())

    watch = Watch(lambda _, answer: Verdict(answer.status), tell, NOT_YET)
    answers = multiplexer.exchange(origin, apns.pushes(5), 5.0, watch)

    assert [answer.status for answer in answers] == [200] * 5
    assert 1 <= len(told) == len(set(told)) < 5
    assert teller == {threading.main_thread()}
