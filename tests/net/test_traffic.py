"""What observers hear of connections, streams and answers."""

import pytest

from pushtasks import observers
from pushtasks.net.http import Response
from pushtasks.net.multiplexer import Multiplexer
from pushtasks.net.traffic import INTERVAL, Traffic
from pushtasks.observers import Connections, Observer


class Ear(Observer):
    """Adds up what it hears."""

    def __init__(self):
        self.records = []
        self.answered = []
        self.is_broken = False

    def connections(self, record):
        self.records.append(record)
        if self.is_broken:
            raise RuntimeError("full")

    def answers(self, record):
        self.answered.append(record)

    def total(self, name):
        return sum(getattr(record, name) for record in self.records)


@pytest.fixture
def ear():
    ear = Ear()
    observers.register(ear)
    yield ear
    observers.unregister(ear)


def test_a_connection_is_told_when_it_opens_and_when_it_closes(ear, multiplexer, apns, wait_until):
    multiplexer.submit(apns.origin(), apns.pushes(500), 10).result(20)
    wait_until(lambda: ear.total("streams") == 0 and ear.total("opened") == 1)
    assert ear.total("closed") == 0

    multiplexer.close(drain=0)

    assert (ear.total("opened"), ear.total("closed"), ear.total("goaways")) == (1, 1, 0)
    assert {record.server for record in ear.records} == {apns.url.removeprefix("https://")}


def test_every_answer_is_counted_and_timed(ear, multiplexer, apns):
    apns.fault(delay=0.05)

    answers = multiplexer.submit(apns.origin(), apns.pushes(300), 10).result(20)

    assert answers == [Response(200)] * 300
    assert sum(record.count for record in ear.answered) == 300
    assert all(0.05 <= record.seconds < 5 for record in ear.answered)


def test_streams_are_told_while_they_are_open(ear, multiplexer, apns, wait_until):
    apns.fault(delay=3 * INTERVAL)
    future = multiplexer.submit(apns.origin(), apns.pushes(50), 10)

    wait_until(lambda: ear.total("streams") == 49 or future.done())  # the first opened the gate
    assert ear.total("streams") == 49

    future.result(10)
    wait_until(lambda: ear.total("streams") == 0)


def test_each_goaway_is_counted(ear, multiplexer, apns, wait_until):
    apns.fault(goaway_every=100)

    multiplexer.submit(apns.origin(), apns.pushes(2000), 10).result(20)

    goaways = apns.stats["connections_opened"] - 1
    wait_until(lambda: ear.total("streams") == 0)
    assert goaways >= 19
    assert ear.total("goaways") in {goaways, goaways - 1}  # the last may not have come to be used
    assert ear.total("opened") - ear.total("closed") == 1


def test_of_connections_side_by_side_goaways_are_not_counted_twice(
    ear, multiplexer, apns, wait_until
):
    apns.fault(goaway_every=100)

    multiplexer.submit(apns.origin(connections=2), apns.pushes(2000), 10).result(20)

    goaways = apns.stats["connections_opened"] - 2
    wait_until(lambda: ear.total("streams") == 0)
    assert goaways / 2 <= ear.total("goaways") <= goaways
    assert ear.total("opened") - ear.total("closed") == 2


def test_a_renewed_connection_is_no_goaway(ear, multiplexer, apns, wait_until):
    origin = apns.origin()
    multiplexer.submit(origin, [apns.push()], 10).result(10)
    multiplexer.renew(origin)
    multiplexer.submit(origin, [apns.push()], 10).result(10)

    wait_until(lambda: ear.total("closed") == 1)
    assert (ear.total("opened"), ear.total("goaways")) == (2, 0)


def test_a_server_that_cannot_be_reached_is_no_connection(ear, multiplexer, apns, authority):
    origin = apns.origin(ca_file=str(authority.ca_file))

    (answer,) = multiplexer.submit(origin, [apns.push()], 2).result(10)

    assert not isinstance(answer, Response)
    assert ear.total("opened") == 0


def test_a_failing_observer_costs_no_answer(ear, apns, caplog):
    ear.is_broken = True
    multiplexer = Multiplexer()

    answers = multiplexer.submit(apns.origin(), apns.pushes(100), 10).result(10)
    multiplexer.close(drain=0)

    assert answers == [Response(200)] * 100
    assert "full" in caplog.text


class Fake:
    """A generation with these figures."""

    def __init__(self, reached=0, replaced=0, streams=0):
        self.reached, self.replaced, self.streams = reached, replaced, streams


def test_while_requests_are_under_way_it_tells_at_intervals(ear):
    traffic = Traffic("host:1")
    generation = Fake(reached=1, streams=5)

    for now, streams in ((10.0, 5), (10.01, 9), (10.01 + INTERVAL, 7), (10.12, 0)):
        generation.streams = streams
        traffic.tell([generation], now)
    traffic.tell([generation], 11.0)

    assert [record.streams for record in ear.records] == [5, 2, -7]
    assert ear.records[0] == Connections("host:1", opened=1, streams=5)


def test_a_closed_generation_takes_its_connections_along(ear):
    traffic = Traffic("host:1")
    generation = Fake(reached=2, replaced=3)
    traffic.tell([generation], 1.0)
    traffic.retire(generation)
    traffic.tell([Fake(reached=1)], 2.0)

    assert ear.records == [
        Connections("host:1", opened=5, closed=3, goaways=3),
        Connections("host:1", opened=1, closed=2),
    ]
