"""An HTTP/2 client over python's `h2`, in which a test sees every stream."""

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
from hyperframe.frame import Frame, GoAwayFrame, PingFrame, SettingsFrame, WindowUpdateFrame

# More than any of the flow control here needs to be reopened.
WINDOW = 2**30


@dataclass
class Stream:
    """What came back on one."""

    headers: list = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list = field(default_factory=list)
    is_over: bool = False
    reset: int | None = None

    @property
    def status(self):
        return int(dict(self.headers)[":status"]) if self.headers else None


def connect(port, ca=None):
    """A socket that HTTP/2 may be spoken on. With `ca` over TLS."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    if not ca:
        return plain
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2"])
    secure = context.wrap_socket(plain, server_hostname="localhost")
    assert secure.selected_alpn_protocol() == "h2"
    return secure


def receive(connection, within):
    """What comes next; nothing at its end, and `None` when the time is over."""
    connection.settimeout(max(within, 0.001))
    try:
        return connection.recv(1 << 16)
    except (TimeoutError, ssl.SSLWantReadError):
        return None
    except (ConnectionError, ssl.SSLError):
        return b""
    finally:
        connection.settimeout(10)


class Frames:
    """One connection, frame by frame: what no well-behaved client sends, and what it is not shown."""

    def __init__(self, port, ca=None):
        self.socket, self.unread, self.goaway, self.is_closed = connect(port, ca), b"", None, False
        self._write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.send(SettingsFrame(0), WindowUpdateFrame(0, window_increment=WINDOW))

    def send(self, *frames):
        self._write(b"".join(frame.serialize() for frame in frames))

    def _write(self, data):
        """The other side may have ended the connection: what it said last is still there to be received."""
        with suppress(OSError):
            self.socket.sendall(data)

    def receive(self, within=10.0):
        """The frames that come next, none when the time is over; settings and pings are answered."""
        data = receive(self.socket, within)
        self.is_closed = data == b""
        self.unread += data or b""
        found = []
        while len(self.unread) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self.unread[:9]))
            if len(self.unread) < 9 + length:
                break
            frame.parse_body(memoryview(self.unread[9 : 9 + length]))
            self.unread = self.unread[9 + length :]
            found.append(frame)
            match frame:
                case GoAwayFrame():
                    self.goaway = frame
                case PingFrame() if "ACK" not in frame.flags:
                    self.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
                case SettingsFrame() if "ACK" not in frame.flags:
                    self.send(SettingsFrame(0, flags=["ACK"]))
        return found

    def close(self):
        self.socket.close()


class Http2:
    """One connection."""

    def __init__(self, port, ca=None):
        self.socket = connect(port, ca)
        self.scheme = "https" if ca else "http"
        settings = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(settings)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(WINDOW)
        self.streams, self.goaway, self.is_closed = {}, None, False
        self.flush()

    def close(self):
        self.socket.close()

    def flush(self):
        try:
            self.socket.sendall(self.h2.data_to_send())
        except (ConnectionError, ssl.SSLError):
            self.is_closed = True

    def begin(self, path="/", method="GET", headers=(), end=True, protocol=None):
        """The number of a new stream."""
        stream = self.h2.get_next_available_stream_id()
        lines = [(":method", method), (":scheme", self.scheme), (":path", path), (":authority", "localhost")]
        if protocol:
            lines.append((":protocol", protocol))
        self.h2.send_headers(stream, [*lines, *headers], end_stream=end)
        self.streams[stream] = Stream()
        self.flush()
        return stream

    def pump(self, within=10.0):
        """Takes what comes next, or nothing when the time is over."""
        data = receive(self.socket, within)
        self.is_closed = data == b""
        if not data:
            return
        for event in self.h2.receive_data(data):
            self._take(event)
        self.flush()

    def _take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        match event:
            case h2.events.ConnectionTerminated():
                # The first may only announce the second: nothing more is taken, this much was.
                self.goaway = event
            case h2.events.ResponseReceived() if stream:
                stream.headers = event.headers
            case h2.events.TrailersReceived() if stream:
                stream.trailers = event.headers
            case h2.events.DataReceived() if stream:
                stream.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded() if stream:
                stream.is_over = True
            case h2.events.StreamReset() if stream:
                stream.is_over, stream.reset = True, event.error_code

    def until(self, check, within=10.0, what=""):
        """Takes what comes until something is true, or fails when it is late or the connection ends."""
        deadline = time.monotonic() + within
        while not check():
            left = deadline - time.monotonic()
            assert left > 0 and not self.is_closed, f"not within {within} s: {what}; closed: {self.is_closed}, {self.goaway}"
            self.pump(left)

    def answer(self, stream, within=10.0):
        self.until(lambda: self.streams[stream].is_over, within, f"stream {stream} is answered")
        return self.streams[stream]

    def ask(self, path="/", **how):
        return self.answer(self.begin(path, **how))

    def upload(self, bodies, within=10.0, end=True):
        """Sends several bodies at a time, each as its stream's window lets it: stream → body. `end`: nothing follows."""
        sent = dict.fromkeys(bodies, 0)
        deadline = time.monotonic() + within
        while sent:
            moved = False
            for stream in list(sent):
                at, body = sent[stream], bodies[stream]
                size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body) - at)
                if size <= 0:
                    continue
                is_last = at + size == len(body)
                self.h2.send_data(stream, body[at : at + size], end_stream=is_last and end)
                sent[stream], moved = at + size, True
                if is_last:
                    del sent[stream]
            self.flush()
            if not moved:
                left = deadline - time.monotonic()
                assert left > 0 and not self.is_closed, f"stalled with {sent} sent, {self.goaway}"
                self.pump(left)
