"""Connections that made one request each and only sit there from then on. The caller closes them."""

import socket
import ssl
import struct

import machine

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: uid=user-%d\r\n\r\n"

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, SETTINGS, WINDOW_UPDATE, GOAWAY = 0x1, 0x4, 0x8, 0x7
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1


def over_h1(port, count):
    opened = []
    for number in range(count):
        connection = connect(port)
        opened.append(connection)
        connection.sendall(REQUEST % number)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += receive(connection, number)
        head, body = answer.split(b"\r\n\r\n", 1)
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        while len(body) < length:
            body += receive(connection, number)
    return opened


def over_h2(port, count):
    """Over TLS, as browsers do: the preface, one request, and a word to whatever settings come."""
    context = machine.trusting()
    context.set_alpn_protocols(["h2"])
    opened = []
    for number in range(count):
        connection = context.wrap_socket(connect(port), server_hostname="localhost")
        opened.append(connection)
        if connection.selected_alpn_protocol() != "h2":
            raise SystemExit(f"no HTTP/2 is spoken on port {port}")
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_STREAM | END_HEADERS, 1, block(number)))
        unread, is_over = b"", False
        while not is_over:
            unread += receive(connection, number)
            while len(unread) >= 9 and len(unread) >= (whole := 9 + int.from_bytes(unread[:3], "big")):
                kind, flags, stream = struct.unpack(">BBI", unread[3:9])
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(frame(SETTINGS, ACK, 0, b""))
                if kind == GOAWAY:
                    raise SystemExit(f"connection {number} was ended instead of answered: {unread[:whole]}")
                is_over = is_over or (stream == 1 and kind in (0, HEADERS) and bool(flags & END_STREAM))
                unread = unread[whole:]
    return opened


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def receive(connection, number):
    part = connection.recv(65536)
    if not part:
        raise SystemExit(f"connection {number} was closed instead of answered")
    return part


def frame(kind, flags, stream, payload):
    """RFC 9113 4.1."""
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def block(number):
    """`GET https://localhost/` with a cookie, by the static table and plain texts (RFC 7541 6.1, 6.2.2)."""
    literal = lambda index, text: index + bytes([len(text)]) + text  # noqa: E731
    method_path_scheme = b"\x82\x84\x87"
    return method_path_scheme + literal(b"\x01", b"localhost") + literal(b"\x0f\x11", b"uid=user-%d" % number)
