"""A small HTTP/1.1 client that tells apart what bigger ones hide: a broken answer, a reset, a polite close."""

import asyncio
from dataclasses import dataclass, field


class Broken(Exception):
    """The connection ended where an answer was due."""


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes
    trailers: list = field(default_factory=list)

    def all(self, name):
        return [value for found, value in self.headers if found == name]

    def get(self, name):
        return next(iter(self.all(name)), None)

    @property
    def text(self):
        return self.body.decode()

    @property
    def closes(self):
        return "close" in (self.get("connection") or "").lower()

    def cookie(self, name):
        """The value that `Set-Cookie` gives this cookie."""
        for line in self.all("set-cookie"):
            found, _, value = line.split(";")[0].partition("=")
            if found == name:
                return value
        return None


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, path="/", method="GET", headers=(), body=b"", within=10):
        """One exchange; `Broken` if the connection fails before the answer is complete."""
        try:
            async with asyncio.timeout(within):
                lines = [f"{method} {path} HTTP/1.1", "host: portal.test", *(f"{name}: {value}" for name, value in headers)]
                if body:
                    lines.append(f"content-length: {len(body)}")
                self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                await self.writer.drain()
                return await self._answer(method)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise Broken(repr(error)) from error

    async def _answer(self, method):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        answer = Answer(status, parse(head[1:]), b"")
        if method == "HEAD" or status in (204, 304):
            return answer
        if "chunked" in (answer.get("transfer-encoding") or ""):
            parts = []
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                parts.append(await self.reader.readexactly(size))
                await self.reader.readexactly(2)
            lines = []
            while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                lines.append(line.decode("latin-1").strip())
            answer.body, answer.trailers = b"".join(parts), parse(lines)
        elif (length := answer.get("content-length")) is not None:
            answer.body = await self.reader.readexactly(int(length))
        else:
            answer.body = await self.reader.read()
        return answer

    async def is_closed_by_peer(self, within):
        """Whether the other side ends the connection, without another byte."""
        try:
            async with asyncio.timeout(within):
                return await self.reader.read(1) == b""
        except TimeoutError:
            return False

    def close(self):
        self.writer.close()


def parse(lines):
    pairs = (line.split(":", 1) for line in lines if line)
    return [(name.lower(), value.strip()) for name, value in pairs]


def fetch(port, path="/", **options):
    """One exchange on a connection of its own."""

    async def exchange():
        connection = await Connection.open(port)
        try:
            return await connection.ask(path, **options)
        finally:
            connection.close()

    return asyncio.run(exchange())


def ask_for_all(port, users, connections=16, path="/"):
    """Which engine each user gets, over a few keep-alive connections: user → engine's name."""

    async def ask():
        queue, found = iter(users), {}

        async def one():
            connection = await Connection.open(port)
            for user in queue:
                answer = await connection.ask(path, headers=[("cookie", f"uid={user}")])
                assert answer.status == 200, (user, answer)
                found[user] = answer.text
                if answer.closes:
                    connection.close()
                    connection = await Connection.open(port)
            connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(one())
        return found

    return asyncio.run(ask())
