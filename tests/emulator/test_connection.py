import asyncio
import ssl

import pytest
import trustme

from pushtasks.emulator.behaviour import Behaviour
from pushtasks.emulator.connection import BaseConnection
from pushtasks.emulator.gateway import GatewayService
from pushtasks.emulator.tls import server_context


class Told(BaseConnection):
    """A connection that lets a test wait for what it was told."""

    def __init__(self, service):
        super().__init__(service)
        self.made, self.lost = asyncio.Event(), asyncio.Event()

    def connection_made(self, transport):
        super().connection_made(transport)
        self.made.set()

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.lost.set()


async def in_turn(*steps):
    """Open a connection over TLS and take steps upon the emulator's end of it, a turn each."""
    authority, connection = trustme.CA(), Told(GatewayService(Behaviour(10)))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    server = await asyncio.get_running_loop().create_server(
        lambda: connection, "127.0.0.1", 0, ssl=server_context(authority, "127.0.0.1")
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        await connection.made.wait()
        for step in steps:
            step(connection)
            await asyncio.sleep(0)
        await connection.lost.wait()
        writer.transport.abort()


def has_its_socket(connection):
    return connection._transport.get_extra_info("socket") is not None


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_connection_can_be_broken_while_it_ends(times):
    had = []

    def break_it(connection):
        had.append(has_its_socket(connection))
        connection.abort()

    asyncio.run(asyncio.wait_for(in_turn(*[break_it] * times), 10))

    assert had == [True, False, False][:times]
