"""Which requests share connections, and how many there are."""

import pytest

from pushtasks.net.http import Response

ACCEPTED = Response(200)


def test_different_identities_never_share_a_connection(multiplexer, apns):
    origins = [apns.origin(identity=f"team/{key}") for key in "abc"]
    futures = [multiplexer.submit(origin, apns.pushes(50), 10) for origin in origins]
    assert all(future.result(10) == [ACCEPTED] * 50 for future in futures)
    assert apns.stats["connections_opened"] == 3
    assert [multiplexer.connections(origin) for origin in origins] == [1, 1, 1]


def test_equal_origins_share_connections(multiplexer, apns):
    for _ in range(5):
        assert multiplexer.exchange(apns.origin(), apns.pushes(5), 10) == [ACCEPTED] * 5
    assert apns.stats["connections_opened"] == 1


@pytest.mark.parametrize("connections", [1, 2, 4])
def test_all_connections_are_opened_up_front_and_no_more(multiplexer, apns, connections):
    origin = apns.origin(connections=connections)
    assert multiplexer.exchange(origin, [apns.push()], 10) == [ACCEPTED]
    assert apns.stats["connections_opened"] == connections
    apns.fault(delay=0.02)
    assert multiplexer.exchange(origin, apns.pushes(3000), 20) == [ACCEPTED] * 3000
    assert apns.stats["connections_opened"] == connections
    assert multiplexer.connections(origin) == connections


def test_nothing_is_opened_for_an_origin_that_was_never_used(multiplexer, apns):
    multiplexer.renew(apns.origin())
    assert multiplexer.connections(apns.origin()) == 0
    assert apns.stats["connections_opened"] == 0


def test_a_client_certificate_takes_the_place_of_the_token(multiplexer, apns):
    directory = apns.emulator.directory
    origin = apns.origin(
        identity="certificate",
        certificate=(directory / "client.pem").read_bytes(),
        certificate_key=(directory / "client-key.pem").read_bytes(),
    )
    request = apns.push()._replace(headers=())
    refused, accepted = (
        multiplexer.exchange(each, [request], 10)[0] for each in (apns.origin(), origin)
    )
    assert refused.status != 200
    assert accepted == ACCEPTED


def test_secrets_of_an_origin_are_not_shown(apns):
    origin = apns.origin(certificate_key=b"secret", proxy="http://me:secret@proxy:3128")
    assert "secret" not in repr(origin)
