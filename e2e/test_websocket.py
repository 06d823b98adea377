"""Real WebSocket clients and servers, with the proxy between them."""

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from support.buckets import engine
from support.waiting import eventually


class Echoes:
    """Two WebSocket engines on the test's own loop: each says its name, then echoes."""

    async def __aenter__(self):
        self.servers, self.urls = [], {}
        for name in ("classic", "identity"):

            async def handle(socket, name=name):
                await socket.send(name)
                async for message in socket:
                    await socket.send(message)

            server = await serve(handle, "127.0.0.1", 0, max_size=None)
            self.servers.append(server)
            self.urls[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return self.urls

    async def __aexit__(self, *_):
        for server in self.servers:
            server.close()
            await server.wait_closed()


def open_socket(proxy, user):
    return connect(f"ws://127.0.0.1:{proxy.port}/ws", additional_headers={"Cookie": f"uid={user}"}, max_size=None, proxy=None)


def test_many_sockets_talk_at_once_each_with_its_own_engine(start):
    async def talk(proxy, user):
        async with open_socket(proxy, user) as socket:
            assert await socket.recv() == engine("portal", user, 25)
            for message in ("hello", "ünïcode", b"\x00\xff" * 10, "x" * 200_000, b"y" * 1_000_000):
                await socket.send(message)
                assert await socket.recv() == message
            await (await socket.ping())

    async def story():
        async with Echoes() as urls:
            proxy = await asyncio.to_thread(start, urls["classic"], urls["identity"])
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(talk(proxy, f"user-{number}"))
            # A finished tunnel is a finished request.
            await asyncio.to_thread(
                eventually, lambda: proxy.metrics().count("cutover_requests_in_flight") == 0, 5, "nothing is in flight"
            )

    asyncio.run(story())


def test_open_sockets_live_through_a_reload(start):
    async def story():
        async with Echoes() as urls:
            proxy = await asyncio.to_thread(start, urls["classic"], urls["identity"])
            users = [f"user-{number}" for number in range(20)]
            sockets = [await open_socket(proxy, user) for user in users]
            assert [await socket.recv() for socket in sockets] == [engine("portal", user, 25) for user in users]
            await asyncio.to_thread(proxy.edit, proxy.text(percent=100))
            for socket in sockets:
                await socket.send("still here")
                assert await socket.recv() == "still here"
            for socket in sockets:
                await socket.close()
            for user in users[:4]:
                async with open_socket(proxy, user) as socket:
                    assert await socket.recv() == "identity", "new ones go where the new file says"

    asyncio.run(story())


def test_an_engine_that_refuses_the_upgrade_is_heard(start, classic, identity):
    proxy = start(classic, identity)

    async def story():
        from websockets.exceptions import InvalidStatus

        with pytest.raises(InvalidStatus) as refused:
            async with open_socket(proxy, "user-1"):
                pass
        assert refused.value.response.status_code == 200

    asyncio.run(story())
