"""Observers hear every record, and harm nothing when they fail."""

import inspect
import typing

import pytest

from pushtasks import observers
from pushtasks.observers import Connections, Kind, Observer, Sending, Sent
from pushtasks.results import APNS, Outcome

SENDING = Sending(APNS, "default", Kind.SINGLE, 1)


class Ear(Observer):
    """Keeps what it hears, by method."""

    def __init__(self):
        self.heard = []

    def sending(self, record):
        self.heard.append(("sending", record))

    def connections(self, record):
        self.heard.append(("connections", record))


class Broken(Observer):
    def sending(self, record):
        raise RuntimeError(f"no disk for {record.app}")


@pytest.fixture
def register():
    """Register observers for one test."""
    registered = []

    def add(observer):
        registered.append(observer)
        observers.register(observer)
        return observer

    yield add
    for observer in registered:
        observers.unregister(observer)


def test_an_observer_hears_the_records_whose_methods_it_overrides(register):
    ear = register(Ear())
    link = Connections("127.0.0.1:2197", opened=1)

    for record in (SENDING, link, Sent(APNS, "default", Kind.SINGLE, 1, 0.1)):
        observers.tell(record)

    assert ear.heard == [("sending", SENDING), ("connections", link)]


def test_an_observer_registered_twice_hears_once(register):
    ear = register(Ear())
    register(ear)

    observers.tell(SENDING)

    assert len(ear.heard) == 1


def test_an_unregistered_observer_hears_nothing(register):
    ear = register(Ear())
    observers.unregister(ear)
    observers.unregister(ear)

    observers.tell(SENDING)

    assert ear.heard == []


def test_a_failing_observer_is_logged_and_the_others_hear(register, caplog):
    register(Broken())
    ear = register(Ear())

    observers.tell(SENDING)

    assert ear.heard == [("sending", SENDING)]
    assert "Broken" in caplog.text
    assert "no disk" in caplog.text


def test_every_record_has_a_method_and_every_method_a_record():
    methods = {name for name, _ in inspect.getmembers(Observer, inspect.isfunction)}
    records = set(typing.get_args(observers.Record))

    assert {name for name in methods if name[0] != "_"} == set(observers._METHODS.values())
    assert records == observers._METHODS.keys()


def test_pushes_end_as_results_name_it():
    assert {outcome.value for outcome in Outcome} < {end.value for end in observers.End}
