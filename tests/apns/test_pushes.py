"""One notification for many devices goes out as if each had a push of its own."""

from contextlib import closing

import pytest
from pydantic import SecretStr

from pushtasks.apns.client import ApnsClient, SharedPushes
from pushtasks.apns.notification import notification
from pushtasks.config import ApnsApp
from pushtasks.net.http import Response, Unanswered
from pushtasks.net.multiplexer import NOT_YET, Multiplexer
from pushtasks.net.transfer import ACCEPTED

ANSWERS = [
    ACCEPTED,
    Response(410, b'{"reason": "Unregistered", "timestamp": 1000}'),
    Unanswered(maybe_sent=True, reason="the connection was lost"),
    ACCEPTED,
]


class Answering(Multiplexer):
    """Keeps requests, and answers them without any network."""

    def exchange(self, _origin, requests, _timeout, watch=None):
        self.requests = list(requests)
        if watch:
            watch.look([ACCEPTED, NOT_YET, NOT_YET, ACCEPTED])
        return ANSWERS


@pytest.fixture
def multiplexer():
    with closing(Answering()) as made:
        yield made


@pytest.fixture
def client(multiplexer, p256, encode_key):
    key = SecretStr(encode_key(p256).decode())
    app = ApnsApp(name="default", topic="a.b", key=key, key_id="ABCDEFGHIJ", team_id="KLMNOPQRST")
    return ApnsClient(app, "production", multiplexer)


@pytest.fixture
def shared():
    places = [0, 2, 3, 300]
    tokens = [f"{place:064x}" for place in places]
    return SharedPushes(notification("Hi", topic="a.b"), tokens, "a list", places)


@pytest.mark.parametrize("is_list", [False, True])
def test_requests_and_verdicts_are_those_of_a_list(client, multiplexer, shared, is_list):
    seen = []
    for pushes in (shared, list(shared)):
        told = []
        verdicts = client.send(pushes, is_list=is_list, watch=told.extend)
        seen.append((multiplexer.requests, verdicts, told))

    assert seen[0] == seen[1]
    requests, verdicts, told = seen[0]
    assert len(requests) == 4
    assert [verdict.status for verdict in verdicts] == [200, 410, None, 200]
    assert [place for place, _ in told] == [0, 3]


def test_a_push_can_be_had_of_each(shared):
    assert len(list(shared)) == len(shared) == 4
    assert shared[-1].device_token == f"{300:064x}"
    assert shared[-1].apns_id.endswith("00000000012c")
