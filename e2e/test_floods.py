"""HTTP/2 clients that flood: their connection ends with GOAWAY, and everybody else is served meanwhile."""

import statistics
import threading
import time

import pytest
from hpack import Encoder
from hyperframe.frame import ContinuationFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

from support.http2 import Frames, Http2
from support.waiting import eventually

MANY = 10_000
# For others, while the flood comes.
WITHIN = 0.100
HEAD = Encoder().encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")])


def resets():
    """CVE-2023-44487: a request and its reset, over and over."""
    for stream in range(1, 2 * MANY, 2):
        yield HeadersFrame(stream, data=HEAD, flags=["END_HEADERS", "END_STREAM"])
        yield RstStreamFrame(stream, error_code=8)


def continuations():
    """CVE-2024-27316: a header block without an end."""
    yield HeadersFrame(1, data=HEAD)
    for number in range(MANY):
        yield ContinuationFrame(1, data=Encoder().encode([(f"x-{number}", "y" * 100)]))


def pings():
    """CVE-2019-9512."""
    for number in range(MANY):
        yield PingFrame(0, opaque_data=number.to_bytes(8, "big"))


def settings():
    """CVE-2019-9515."""
    for number in range(MANY):
        yield SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65_535 + number})


FLOODS = {"reset": resets, "continuation": continuations, "ping": pings, "settings": settings}


def pour(connection, frames, within=20):
    """Sends all of it, or as much as is taken; the GOAWAY that came of it."""
    frames = list(frames)
    for at in range(0, len(frames), 50):
        connection.send(*frames[at : at + 50])
        connection.receive(0)
        if connection.is_closed:
            break
    deadline = time.monotonic() + within
    while not connection.goaway and not connection.is_closed and (left := deadline - time.monotonic()) > 0:
        connection.receive(left)
    connection.close()
    return connection.goaway


class Probes:
    """Somebody else who asks over a connection that is open already, until told to stop."""

    def __init__(self, client):
        self.client, self.took, self.failed = client, [], None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self):
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                assert self.client.ask().status == 200
                self.took.append(time.monotonic() - began)
                self._stop.wait(0.01)
        except BaseException as error:  # noqa: BLE001: the test tells it
            self.failed = error

    def stop(self):
        self._stop.set()
        self._thread.join(15)
        assert not self._thread.is_alive()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_ends_its_own_connection_and_no_other(start, classic, identity, kind, tls):
    # One worker: the others are its neighbours.
    proxy = start(classic, identity, tls=tls, percent=0, top="workers = 1")
    beside = Http2(proxy.port, proxy.ca)
    assert beside.ask().status == 200
    probes = Probes(beside)
    goaway = pour(Frames(proxy.port, proxy.ca), FLOODS[kind]())
    eventually(lambda: len(probes.took) >= 20 or probes.failed, 10, "others ask meanwhile")
    probes.stop()
    assert goaway and goaway.error_code != 0, goaway
    assert not probes.failed, probes.failed
    assert statistics.median(probes.took) < WITHIN, sorted(probes.took)[-10:]
    assert proxy.metrics().value("cutover_http2_floods_total", kind=kind) == 1
    # 500 resets at once are let pass; which of their requests an engine sees is a matter of luck.
    assert len(classic.requests) <= 600 + len(probes.took)
    assert beside.ask().status == 200
    beside.close()
    eventually(lambda: proxy.metrics().value("cutover_requests_in_flight") == 0, 5, "nothing is left in flight")
