import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise

import pytest

from pushtasks.net.http import Response, Unanswered
from pushtasks.net.multiplexer import Multiplexer


class CountingBell:
    """The multiplexer's own bell, and how often it was rung."""

    def __init__(self, bell):
        self._bell = bell
        self.rings = 0

    def send(self, data):
        self.rings += 1
        return self._bell.send(data)

    def close(self):
        self._bell.close()


class BrokenSubmission:
    """One request; it raises whatever the answer is."""

    timeout = 10.0

    def __init__(self, request):
        self.called = threading.Event()
        self.submitted = time.monotonic()
        self.request = lambda _place: request

    def deliver(self, _place, _answer):
        self.called.set()
        raise RuntimeError("this submission is broken")


def seconds(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


# Submitting ---------------------------------------------------------------------------------------


def test_a_thousand_requests_cost_one_wake_up(multiplexer, apns):
    multiplexer.submit(apns.origin(), [apns.push()], 10).result(10)
    bell = multiplexer._bell = CountingBell(multiplexer._bell)
    answers = multiplexer.submit(apns.origin(), apns.pushes(1000), 10).result(20)
    assert answers == [Response(200)] * 1000
    assert bell.rings == 1


def test_answers_come_in_the_order_of_their_requests(multiplexer, apns):
    for number in range(0, 200, 7):
        apns.emulator.control("PUT", f"/tokens/{number:064x}", {"reason": "Unregistered"})
    answers = multiplexer.submit(apns.origin(), apns.pushes(200), 10).result(10)
    assert [answer.status for answer in answers] == [410 if n % 7 == 0 else 200 for n in range(200)]


def test_an_empty_batch_is_answered_at_once_without_a_thread(multiplexer, apns):
    assert multiplexer.submit(apns.origin(), [], 10).result(0) == []
    assert multiplexer.exchange(apns.origin(), [], 10) == []
    assert multiplexer._thread is None


def test_threads_share_one_connection(multiplexer, apns):
    def send(first):
        futures = [multiplexer.submit(apns.origin(), [apns.push(first + n)], 10) for n in range(20)]
        return [future.result(20)[0] for future in futures]

    with ThreadPoolExecutor(32) as pool:
        answers = list(chain.from_iterable(pool.map(send, range(0, 640, 20))))
    assert answers == [Response(200)] * 640
    assert apns.devices() == dict.fromkeys(range(640), 1)
    assert apns.stats["connections_opened"] == multiplexer.connections(apns.origin()) == 1


def test_an_answer_cannot_be_cancelled_and_so_harms_nobody(multiplexer, apns):
    apns.fault(delay=0.1)
    single = multiplexer.submit(apns.origin(), [apns.push(1)], 10)
    batch = multiplexer.submit(apns.origin(), apns.pushes(3), 10)
    assert not single.cancel()
    assert not batch.cancel()
    assert single.result(10) == [Response(200)]
    assert batch.result(10) == [Response(200)] * 3


def test_a_callback_may_submit_the_next_request(multiplexer, apns):
    chained = []
    done = threading.Event()

    def submit_next(_):
        future = multiplexer.submit(apns.origin(), [apns.push(2)], 10)
        chained.append(future)
        future.add_done_callback(lambda _: done.set())

    multiplexer.submit(apns.origin(), [apns.push(1)], 10).add_done_callback(submit_next)
    assert done.wait(10)
    assert chained[0].result(0) == [Response(200)]


@pytest.mark.parametrize("path", ["/3/device/ö", "/3/device/a\0b"])
def test_a_request_that_cannot_be_written_harms_no_other(multiplexer, apns, path):
    requests = [apns.push(1), apns.push(2)._replace(path=path), apns.push(3)]
    first, second, third = multiplexer.submit(apns.origin(), requests, 10).result(10)
    assert first == third == Response(200)
    assert isinstance(second, Unanswered)
    assert not second.maybe_sent
    assert second.reason.startswith("the request cannot be sent: ")


# Back-pressure ------------------------------------------------------------------------------------


def test_who_comes_when_it_is_full_waits_for_room(apns):
    apns.fault(delay=0.05)
    multiplexer = Multiplexer(capacity=10)
    held = []

    def send(number):
        future = multiplexer.submit(apns.origin(), [apns.push(number)], 10)
        held.append(multiplexer._held)
        return future.result(10)[0]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(100)))
    multiplexer.close()
    assert answers == [Response(200)] * 100
    assert max(held) <= 10


def test_it_waits_for_room_no_longer_than_the_timeout(apns):
    apns.fault(stall=True)
    multiplexer = Multiplexer(capacity=3)
    stalled = multiplexer.submit(apns.origin(), apns.pushes(3), 30)
    futures = []
    waited = seconds(
        lambda: futures.append(multiplexer.submit(apns.origin(), [apns.push(4)], timeout=0.2))
    )
    assert 0.2 <= waited < 1
    (answer,) = futures[0].result(0)
    assert answer == Unanswered(maybe_sent=False, reason="too many requests wait in this process")
    multiplexer.close(drain=0)
    assert [type(answer) for answer in stalled.result(0)] == [Unanswered] * 3


def test_whoever_waits_for_room_is_let_go_at_the_close(apns):
    apns.fault(stall=True)
    multiplexer = Multiplexer(capacity=1)
    multiplexer.submit(apns.origin(), [apns.push()], 30)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(multiplexer.submit, apns.origin(), [apns.push(1)], 30)
        while not multiplexer._room._waiters:
            time.sleep(0.001)
        multiplexer.close(drain=0)
        assert waiting.result(5).result(0)[0].reason == "this process is shutting down"


def test_a_system_without_a_thread_to_spare_costs_only_what_comes_meanwhile(multiplexer, apns):
    before = threading.stack_size(2**46)
    try:
        (answer,) = multiplexer.exchange(apns.origin(), [apns.push(1)], 10)
    finally:
        threading.stack_size(before)
    assert answer == Unanswered(maybe_sent=False, reason="no I/O thread: can't start new thread")
    assert multiplexer.exchange(apns.origin(), [apns.push(2)], 10) == [Response(200)]
    assert apns.devices() == {2: 1}


# The end ------------------------------------------------------------------------------------------


def test_close_waits_for_what_is_in_flight(apns):
    apns.fault(delay=0.3)
    multiplexer = Multiplexer()
    future = multiplexer.submit(apns.origin(), apns.pushes(50), 10)
    multiplexer.close()
    assert future.result(0) == [Response(200)] * 50


def test_close_does_not_wait_beyond_the_drain(apns):
    apns.fault(stall=True)
    multiplexer = Multiplexer()
    future = multiplexer.submit(apns.origin(), apns.pushes(50), 30)
    while not apns.stats["connections_opened"]:
        time.sleep(0.005)
    assert seconds(lambda: multiplexer.close(drain=0.2)) < 1
    answers = future.result(0)
    assert {type(answer) for answer in answers} == {Unanswered}
    assert answers[-1] == Unanswered(maybe_sent=False, reason="this process is shutting down")


def test_after_the_close_everything_is_refused_at_once(multiplexer, apns):
    multiplexer.submit(apns.origin(), [apns.push()], 10).result(10)
    multiplexer.close()
    multiplexer.close()
    multiplexer.renew(apns.origin())
    refusal = Unanswered(maybe_sent=False, reason="this process is shutting down")
    assert multiplexer.submit(apns.origin(), [apns.push()], 10).result(0) == [refusal]
    assert multiplexer.exchange(apns.origin(), apns.pushes(2), 10) == [refusal] * 2


def test_an_unused_one_closes_its_descriptors():
    multiplexer = Multiplexer()
    multiplexer.close()
    assert multiplexer._bell.fileno() == multiplexer._ear.fileno() == -1


def test_close_while_the_connection_is_being_made(start_server, authority, apns):
    silent = threading.Event()
    server = start_server(lambda _: silent.wait(10))
    multiplexer = Multiplexer()
    future = multiplexer.submit(server.origin(authority), [apns.push()], 10)
    while not server.accepted:
        time.sleep(0.001)
    assert seconds(lambda: multiplexer.close(drain=0)) < 1
    silent.set()
    refusal = Unanswered(maybe_sent=False, reason="this process is shutting down")
    assert future.result(0) == [refusal]


def test_everybody_is_answered_who_submits_during_a_close(apns):
    for _ in range(5):
        multiplexer = Multiplexer()
        multiplexer.submit(apns.origin(), [apns.push()], 10).result(10)
        begin = threading.Barrier(9)

        def send(multiplexer=multiplexer, begin=begin):
            begin.wait()
            return [multiplexer.submit(apns.origin(), [apns.push()], 5) for _ in range(50)]

        with ThreadPoolExecutor(8) as pool:
            submitted = [pool.submit(send) for _ in range(8)]
            begin.wait()
            multiplexer.close(drain=0.01)
            for futures in submitted:
                for future in futures.result():
                    assert isinstance(future.result(1)[0], Response | Unanswered)


# The I/O thread -----------------------------------------------------------------------------------


def test_a_submission_that_raises_harms_no_other(multiplexer, apns, caplog):
    broken = BrokenSubmission(apns.push(2))
    multiplexer.submit(apns.origin(), [apns.push(1)], 10).result(10)
    multiplexer._enqueue(apns.origin(), broken, 1)
    future = multiplexer.submit(apns.origin(), apns.pushes(20, first=3), 10)
    assert future.result(10) == [Response(200)] * 20
    assert broken.called.wait(10)
    assert "this submission is broken" in caplog.text


def test_a_failure_of_the_io_thread_answers_all_and_does_not_end_it(multiplexer, apns, caplog):
    apns.fault(stall=True)
    future = multiplexer.submit(apns.origin(), apns.pushes(20), 30)
    while not apns.stats["connections_opened"]:
        time.sleep(0.005)

    def fail():
        raise RuntimeError("broken for this test")

    multiplexer._post(fail)
    assert {type(answer) for answer in future.result(5)} == {Unanswered}
    assert "broken for this test" in caplog.text
    apns.heal()
    assert multiplexer.submit(apns.origin(), [apns.push()], 10).result(10) == [Response(200)]


def test_a_thread_that_waits_costs_no_cpu(multiplexer, apns):
    multiplexer.submit(apns.origin(), [apns.push()], 10).result(10)
    apns.fault(delay=0.5)
    turns = []
    take_turn = multiplexer._turn
    multiplexer._turn = lambda: (turns.append(time.monotonic()), take_turn())
    multiplexer.submit(apns.origin(), [apns.push()], 10).result(10)
    assert sum(later - sooner < 0.001 for sooner, later in pairwise(turns)) < 50
