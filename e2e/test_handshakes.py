"""What comes to a TLS port and is no handshake, or only half of one: closed, counted, and of no concern to others."""

import asyncio
import random
import socket
import ssl

import pytest

from support.pki import shown
from support.processes import run
from support.waiting import eventually

# Long enough for all that a test opens to stand open at once.
HEADER_TIMEOUT = 5


@pytest.fixture
def secure(start, classic, identity, localhost):
    limits = f'[limits]\nheader_timeout = "{HEADER_TIMEOUT}s"\nconnections = 4000\n'
    return start(classic, identity, percent=0, listener=shown(localhost), tables=limits)


def client(authority):
    return ssl.create_default_context(cafile=authority.pem)


def hello(context):
    """The first bytes of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def failed(proxy, **labels):
    return proxy.metrics().count("cutover_tls_handshake_failures_total", **labels)


def said(proxy, sent):
    """What comes back for bytes behind which nothing follows, until the proxy closes; it has to."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=HEADER_TIMEOUT + 10) as wire:
        back = b""
        try:
            wire.sendall(sent)
            wire.shutdown(socket.SHUT_WR)
            while part := wire.recv(4096):
                back += part
        except OSError as error:
            # It closed with bytes of ours unread: that is told to whoever reads, sends or shuts down next.
            if isinstance(error, TimeoutError):
                raise
        return back


def test_garbage_is_closed_and_counted_and_reaches_nobody(secure, authority, classic):
    whole, chance = hello(client(authority)), random.Random(4)
    corpus = [
        chance.randbytes(1), chance.randbytes(300), b"\x00" * 64, b"\xff" * 5000,
        b"\x16\x03\x01\xff\xff" + chance.randbytes(2000), b"\x15\x03\x01\x00\x02\x02\x28", b"\x17\x03\x03\x00\x05hello",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + chance.randbytes(37),
        b"SSH-2.0-OpenSSH_9.2\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + whole,
        whole[:9] + chance.randbytes(len(whole) - 9), whole + whole, whole + chance.randbytes(64),
    ]  # fmt: skip
    for sent in corpus:
        assert b"HTTP/1.1 2" not in said(secure, sent), sent[:40]
    eventually(lambda: failed(secure) == len(corpus), what="every one is counted")
    assert classic.requests == []
    run("curl", "-sSf", "--cacert", authority.pem, secure.secure_url)
    assert len(classic.requests) == 1


def test_a_handshake_may_be_cut_anywhere(secure, authority, classic):
    whole = hello(client(authority))
    places = sorted({1, 4, 5, 6, 9, 11, 43, 44, len(whole) // 2, len(whole) - 1, len(whole)})
    for place in places:
        back = said(secure, whole[:place])
        assert back == b"" or place == len(whole), place
    eventually(lambda: failed(secure, reason="closed") == len(places), what="every one is counted")
    assert failed(secure) == len(places) and classic.requests == []


def test_plain_http_at_a_tls_port_is_no_request(secure, classic):
    done = run("curl", "-sS", "-o", "-", f"http://127.0.0.1:{secure.port}/", code=None)
    assert done.returncode in (1, 52, 56), done.stderr
    eventually(lambda: failed(secure, reason="not_tls") == 1, what="it is counted")
    assert classic.requests == []


def test_a_thousand_half_open_handshakes_leave_others_answered(secure, authority, classic):
    half = hello(client(authority))[:200]

    async def open_half():
        reader, writer = await asyncio.open_connection("127.0.0.1", secure.port)
        writer.write(half)
        await writer.drain()
        return reader, writer

    async def ask():
        """One request on a connection of its own, with a handshake of its own."""
        async with asyncio.timeout(HEADER_TIMEOUT):
            reader, writer = await asyncio.open_connection("127.0.0.1", secure.port, ssl=client(authority), server_hostname="localhost")
            writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

    async def story():
        wires = [await open_half() for _ in range(1000)]
        answers = [await ask() for _ in range(20)]
        opened = await asyncio.to_thread(lambda: secure.metrics().value("cutover_connections_open"))
        async with asyncio.timeout(HEADER_TIMEOUT + 10):
            ends = await asyncio.gather(*(reader.read() for reader, _ in wires))
        for _, writer in wires:
            writer.close()
        return answers, opened, ends

    answers, opened, ends = asyncio.run(story())
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert opened >= 1000, "they stood open while others were answered"
    assert set(ends) == {b""}
    assert failed(secure, reason="timeout") == 1000 and len(classic.requests) == 20
