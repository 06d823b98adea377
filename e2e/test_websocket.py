"""Real WebSocket clients and servers, with the proxy between them."""

import asyncio
import ssl

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.protocol import OPEN, Protocol, Side

from support.buckets import engine
from support.http2 import Http2
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
    url, secure = f"ws://127.0.0.1:{proxy.port}/ws", None
    if proxy.ca:
        url, secure = f"wss://localhost:{proxy.port}/ws", ssl.create_default_context(cafile=proxy.ca)
        secure.set_alpn_protocols(["http/1.1"])
    return connect(url, ssl=secure, additional_headers={"Cookie": f"uid={user}"}, max_size=None, proxy=None)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_many_sockets_talk_at_once_each_with_its_own_engine(start, tls):
    async def talk(proxy, user):
        async with open_socket(proxy, user) as socket:
            assert await socket.recv() == engine("portal", user, 25)
            for message in ("hello", "ünïcode", b"\x00\xff" * 10, "x" * 200_000, b"y" * 1_000_000):
                await socket.send(message)
                assert await socket.recv() == message
            await (await socket.ping())

    async def story():
        async with Echoes() as urls:
            proxy = await asyncio.to_thread(start, urls["classic"], urls["identity"], tls=tls)
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


class Tunnel:
    """A WebSocket in a stream of an HTTP/2 connection (RFC 8441), its frames made and read by `websockets`."""

    def __init__(self, client, user):
        self.client, self.read = client, 0
        self.frames = Protocol(Side.CLIENT, state=OPEN, max_size=None)
        headers = [("sec-websocket-version", "13"), ("cookie", f"uid={user}")]
        self.stream = client.begin("/ws", "CONNECT", headers, end=False, protocol="websocket")
        self.told = client.streams[self.stream]
        client.until(lambda: self.told.headers, what="the tunnel is opened")

    def send(self, message):
        if isinstance(message, str):
            self.frames.send_text(message.encode())
        else:
            self.frames.send_binary(message)
        self._flush()

    def _flush(self, end=False):
        data = b"".join(self.frames.data_to_send())
        self.client.upload({self.stream: data}, end=end)

    def receive(self):
        """The next frame."""
        while not (events := self.frames.events_received()):
            if len(self.told.body) == self.read:
                self.client.until(lambda: len(self.told.body) > self.read or self.told.is_over, what="a frame")
            assert len(self.told.body) > self.read, "ended"
            self.frames.receive_data(bytes(self.told.body[self.read :]))
            self.read = len(self.told.body)
        (frame,) = events
        return frame

    def close(self):
        """The closing handshake, and the end of the stream."""
        self.frames.send_close(1000, "bye")
        self._flush(end=True)
        assert self.receive().opcode.name == "CLOSE"
        self.client.answer(self.stream)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_sockets_share_an_http2_connection_each_with_its_own_engine(start, tls):
    def talk(proxy):
        client = Http2(proxy.port, proxy.ca)
        client.until(lambda: client.h2.remote_settings.enable_connect_protocol, what="RFC 8441 3: the server allows it")
        users = ["user-1", "user-10", "user-2", "user-18"]
        tunnels = [Tunnel(client, user) for user in users]
        assert [tunnel.told.status for tunnel in tunnels] == [200] * 4
        assert [tunnel.receive().data.decode() for tunnel in tunnels] == [engine("portal", user, 25) for user in users]
        assert {engine("portal", user, 25) for user in users} == {"classic", "identity"}
        for message in ("hello", b"\x00\xff" * 10, b"y" * 50_000):
            for tunnel in tunnels:
                tunnel.send(message)
            for tunnel in tunnels:
                assert tunnel.receive().data == (message.encode() if isinstance(message, str) else message)
        for tunnel in tunnels:
            tunnel.close()
            assert tunnel.told.reset is None
        client.close()

    async def story():
        async with Echoes() as urls:
            proxy = await asyncio.to_thread(start, urls["classic"], urls["identity"], tls=tls)
            async with asyncio.timeout(60):
                await asyncio.to_thread(talk, proxy)
            await asyncio.to_thread(
                eventually, lambda: proxy.metrics().count("cutover_requests_in_flight") == 0, 5, "nothing is in flight"
            )

    asyncio.run(story())
