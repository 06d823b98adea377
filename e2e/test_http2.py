"""HTTP/2 as h2load, nghttp and curl speak it, over TLS and with prior knowledge."""

import hashlib
import json
import signal
import threading

import hpack
import pytest
from hyperframe.frame import GoAwayFrame, HeadersFrame, RstStreamFrame

from support.http2 import Frames, Http2
from support.processes import program, run
from support.waiting import eventually

both_ways = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
UPLOAD = bytes(range(256)) * 40960  # 10 MiB


@both_ways
def test_h2load_gets_every_answer(start, nginx, tls):
    proxy = start(nginx.classic, nginx.identity, tls=tls, top="[log]\naccess = false")
    told = run(program("h2load"), "-n", 20_000, "-c", 8, "-m", 16, "-H", "cookie: uid=user-1", f"{proxy.url}/").stdout
    assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in told, told
    assert "20000 2xx, 0 3xx, 0 4xx, 0 5xx" in told, told
    assert proxy.metrics().value("cutover_requests_total", method="GET", code="200") == 20_000


@both_ways
def test_h2load_uploads(start, classic, identity, tmp_path, tls):
    (tmp_path / "body").write_bytes(UPLOAD[: 1 << 20])
    proxy = start(classic, identity, tls=tls, percent=0)
    told = run(program("h2load"), "-n", 64, "-c", 4, "-m", 8, "-d", tmp_path / "body", f"{proxy.url}/upload").stdout
    assert "64 succeeded, 0 failed, 0 errored, 0 timeout" in told, told
    assert [request.path for request in classic.requests] == ["/upload"] * 64


@both_ways
def test_nghttp_sees_the_trailers_of_an_engine(start, classic, identity, tls):
    proxy = start(classic, identity, tls=tls)
    told = run(program("nghttp"), "-vny", f"{proxy.url}/chunked?size=200000&trailers=1").stdout
    assert ":status: 200" in told and "x-sum: 42" in told, told
    assert told.index(":status: 200") < told.index("recv DATA frame") < told.index("x-sum: 42"), "the trailers come last"


def test_curl_uploads_side_by_side_over_one_connection(start, classic, identity, tmp_path):
    (tmp_path / "body").write_bytes(UPLOAD)
    proxy = start(classic, identity, tls=True, percent=0)
    answers = [tmp_path / f"answer-{number}" for number in range(4)]
    each = [word for answer in answers for word in ("-T", tmp_path / "body", "-o", answer, f"{proxy.url}/upload")]
    told = run(program("curl"), "-sS", "--http2", "--cacert", proxy.ca, "-X", "POST", "--parallel",
               "-w", "%{http_version} %{http_code} %{time_total}\n", *each).stdout  # fmt: skip
    found = [line.split() for line in told.splitlines()]
    assert [words[:2] for words in found] == [["2", "200"]] * 4
    assert max(float(words[2]) for words in found) < 10, "nothing stalls"
    assert proxy.metrics().value("cutover_connections_total") == 1
    assert {json.loads(answer.read_text())["sha256"] for answer in answers} == {hashlib.sha256(UPLOAD).hexdigest()}


@both_ways
def test_uploads_of_python_h2_arrive_whole_and_are_not_stalled(start, classic, identity, tls):
    proxy = start(classic, identity, tls=tls, percent=0)
    client = Http2(proxy.port, proxy.ca)
    # Two that nobody else holds up, and one that says how long it is.
    streams = [client.begin("/upload", "POST", [("content-length", str(len(UPLOAD)))] if sized else [], end=False) for sized in (0, 1, 0)]
    client.upload({stream: UPLOAD for stream in streams}, within=15)
    found = [json.loads(client.answer(stream).body) for stream in streams]
    assert {answer["sha256"] for answer in found} == {hashlib.sha256(UPLOAD).hexdigest()}
    assert [answer["framing"] for answer in found] == ["chunked", "length", "chunked"]
    client.close()


def test_an_upload_that_an_engine_does_not_take_holds_no_other_stream_up(start, classic, identity):
    proxy = start(classic, identity, percent=0)
    client = Http2(proxy.port)
    # `/hang` reads nothing: its stream's window fills, and stays full.
    held = client.begin("/hang", "POST", end=False)
    sent = 0
    while (size := min(client.h2.local_flow_control_window(held), client.h2.max_outbound_frame_size)) > 0 and sent < len(UPLOAD):
        client.h2.send_data(held, UPLOAD[:size])
        sent += size
        client.flush()
    assert sent < len(UPLOAD), "one stream may not make us keep all that it sends"
    for _ in range(20):
        assert client.ask("/").status == 200
    other = client.begin("/upload", "POST", end=False)
    client.upload({other: UPLOAD}, within=15)
    assert json.loads(client.answer(other).body)["size"] == len(UPLOAD)
    client.close()


class Visitor:
    """Keeps 16 streams going until told that no more are taken; every one of those that were has to be answered."""

    def __init__(self, proxy):
        self.frames, self.answered, self.failed = Frames(proxy.port, proxy.ca), 0, None
        self.thread = threading.Thread(target=self._visit, daemon=True)
        self.thread.start()

    def _visit(self):
        try:
            head = hpack.Encoder().encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")])
            decoder, asked, last, streams = hpack.Decoder(), set(), 2**31, iter(range(1, 2**31, 2))
            while asked or last == 2**31:
                while len(asked) < 16 and not self.frames.goaway:
                    asked.add(stream := next(streams))
                    self.frames.send(HeadersFrame(stream, data=head, flags=["END_HEADERS", "END_STREAM"]))
                for frame in self.frames.receive():
                    match frame:
                        case HeadersFrame():
                            status = dict(decoder.decode(frame.data))[":status"]
                            assert status == "200", status
                        case RstStreamFrame():
                            raise AssertionError(f"stream {frame.stream_id} was reset: {frame.error_code}")
                        case GoAwayFrame():
                            # Who comes later was not seen to, and asks elsewhere (RFC 9113 6.8).
                            last = frame.last_stream_id
                            asked = {stream for stream in asked if stream <= last}
                    if "END_STREAM" in frame.flags:
                        asked.remove(frame.stream_id)
                        self.answered += 1
                assert not self.frames.is_closed or not asked, f"{len(asked)} without an answer, last is {last}"
                if self.frames.goaway and not asked:
                    break
            self.frames.close()
        except BaseException as error:  # noqa: BLE001: the test tells it
            self.failed = error


@both_ways
def test_sigterm_under_load_says_goaway_and_fails_no_request(start, nginx, tls):
    proxy = start(nginx.classic, nginx.identity, tls=tls, top='[shutdown]\ndrain = "10s"\n[log]\naccess = false')
    visitors = [Visitor(proxy) for _ in range(8)]
    eventually(lambda: all(visitor.answered > 200 or visitor.failed for visitor in visitors), 20, "all are busy")
    proxy.program.signal(signal.SIGTERM)
    for visitor in visitors:
        visitor.thread.join(15)
    assert [visitor.failed for visitor in visitors if visitor.failed or visitor.thread.is_alive()] == []
    assert all(visitor.frames.goaway.error_code == 0 for visitor in visitors)
    assert proxy.program.wait(5) == 0, "with everybody gone nothing is left to wait for"
