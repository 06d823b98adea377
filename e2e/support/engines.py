"""Engines: one in Python that records what it was sent and misbehaves on request, and a real nginx."""

import asyncio
import hashlib
import json
import threading
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from .processes import Program, free_port, program
from .waiting import eventually

BLOCK = bytes(range(256)) * 256


def content(size):
    """The bytes of a download, and what they hash to."""
    whole, rest = divmod(size, len(BLOCK))
    return BLOCK * whole + BLOCK[:rest]


class Request:
    """What the engine was sent."""

    def __init__(self, method, target, version, headers):
        self.method, self.target, self.version, self.headers = method, target, version, headers
        parts = urlsplit(target)
        self.path = parts.path
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}

    def all(self, name):
        return [value for found, value in self.headers if found.lower() == name]

    def get(self, name):
        return next(iter(self.all(name)), None)


class PythonEngine:
    """An HTTP/1.1 server on a thread of its own. `GET /` says its name; other paths are methods below."""

    def __init__(self, name):
        self.name = name
        self.requests = []
        self.connections = 0
        # Lines of most answers, as pairs.
        self.headers = []
        # After this many answers a connection is closed without a word: 0 is never.
        self.close_after = 0
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        async def close():
            self._server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def last(self):
        return self.requests[-1]

    async def _serve(self, reader, writer):
        self.connections += 1
        answers = 0
        try:
            while line := await reader.readline():
                method, target, version = line.decode("latin-1").split()
                headers = []
                while (line := await reader.readline()) not in (b"\r\n", b""):
                    name, value = line.decode("latin-1").split(":", 1)
                    headers.append((name, value.strip()))
                request = Request(method, target, version, headers)
                self.requests.append(request)
                name = "on_" + request.path.strip("/").replace("-", "_")
                if await getattr(self, name, self.on_)(request, reader, writer) == "close":
                    break
                answers += 1
                if answers == self.close_after:
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _body(self, request, reader):
        """The request's body, piece by piece."""
        if "chunked" in (request.get("transfer-encoding") or ""):
            while size := int((await reader.readline()).split(b";")[0], 16):
                yield await reader.readexactly(size)
                await reader.readexactly(2)
            while (await reader.readline()) not in (b"\r\n", b""):
                pass
            return
        left = int(request.get("content-length") or 0)
        while left:
            part = await reader.read(min(left, 65536))
            if not part:
                raise ConnectionResetError("the request ended early")
            left -= len(part)
            yield part

    async def _answer(self, writer, status, headers=(), body=b""):
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"x-engine: {self.name}"]
        lines += [f"{name}: {value}" for name, value in [*headers, *self.headers]]
        if status not in (204, 304):
            lines.append(f"content-length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        await writer.drain()

    async def on_(self, request, reader, writer):
        """Whatever has no method of its own: the engine's name, after a body was read."""
        async for _ in self._body(request, reader):
            pass
        body = b"" if request.method == "HEAD" else self.name.encode()
        if request.method == "HEAD":
            writer.write(f"HTTP/1.1 200 OK\r\nx-engine: {self.name}\r\ncontent-length: {len(self.name)}\r\n\r\n".encode())
            return await writer.drain()
        return await self._answer(writer, 200, [("content-type", "text/plain")], body)

    async def on_204(self, request, reader, writer):
        await self._answer(writer, 204)

    async def on_304(self, request, reader, writer):
        await self._answer(writer, 304, [("etag", '"x"')])

    async def on_upload(self, request, reader, writer):
        digest, size = hashlib.sha256(), 0
        async for part in self._body(request, reader):
            digest.update(part)
            size += len(part)
        framing = "chunked" if request.get("transfer-encoding") else "length"
        body = json.dumps({"sha256": digest.hexdigest(), "size": size, "framing": framing}).encode()
        await self._answer(writer, 200, [("content-type", "application/json")], body)

    async def on_sized(self, request, reader, writer):
        await self._answer(writer, 200, body=content(int(request.query["size"])))

    async def on_chunked(self, request, reader, writer):
        left = int(request.query["size"])
        trailers = "trailers" in request.query
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n" + b"trailer: x-sum\r\n" * trailers + b"\r\n")
        for start in range(0, left, len(BLOCK)):
            part = BLOCK[: min(len(BLOCK), left - start)]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n" + b"x-sum: 42\r\n" * trailers + b"\r\n")
        await writer.drain()

    async def on_slow(self, request, reader, writer):
        await asyncio.sleep(int(request.query["ms"]) / 1000)
        await self._answer(writer, 200, body=self.name.encode())

    async def on_hang(self, request, reader, writer):
        await asyncio.sleep(3600)

    async def on_die_sized(self, request, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this")
        await writer.drain()
        return "close"

    async def on_die_chunked(self, request, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nonly this\r\n")
        await writer.drain()
        return "close"

    async def on_die_early(self, request, reader, writer):
        return "close"


class NginxEngines:
    """Both engines in one real nginx, which answers with the engine's name."""

    def __init__(self, folder, *, keepalive_requests=1_000_000_000, keepalive_timeout="300s"):
        self.ports = {"classic": free_port(), "identity": free_port()}
        folder.mkdir(parents=True)
        servers = "".join(
            f"""
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    default_type text/plain;
    location / {{ return 200 "{name}"; }}
    location /connection {{ return 200 "$connection"; }}
  }}"""
            for name, port in self.ports.items()
        )
        paths = "".join(f"\n  {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = folder / "nginx.conf"
        config.write_text(
            f"""daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{{paths}
  access_log off;
  keepalive_requests {keepalive_requests};
  keepalive_timeout {keepalive_timeout};
  {servers}
}}
"""
        )
        self.program = Program([program("nginx"), "-e", folder / "error.log", "-p", folder, "-c", config], folder / "log")
        self.classic, self.identity = (f"http://127.0.0.1:{port}" for port in self.ports.values())
        from .client import fetch

        for port in self.ports.values():
            eventually(lambda port=port: fetch(port, "/").status == 200, 10, "nginx answers")

    def stop(self):
        self.program.stop()
