"""HTTP as curl speaks it: framing, bodies, old clients, limits."""

import hashlib
import json

import pytest

from support.client import fetch
from support.engines import content
from support.tools import curl

MEGABYTES = 20 * 1024 * 1024


def test_connections_are_kept_alive_over_every_kind_of_answer(proxy):
    paths = ["", "204", "304", "sized?size=70000", "chunked?size=70000", "nowhere"]
    found = curl(*(word for path in paths for word in (f"{proxy.url}/{path}", "-o", "/dev/null")))
    assert [report["num_connects"] for report in found.reports] == [1, 0, 0, 0, 0, 0]


def test_head_has_the_length_and_no_body(proxy):
    found = curl("--head", f"{proxy.url}/")
    assert (found.answer.status, found.answer.get("content-length")) == (200, str(len("classic")))
    # A second request on the same connection: a body that should not be there would break it.
    found = curl("--head", f"{proxy.url}/", f"{proxy.url}/", "-o", "/dev/null")
    assert [report["num_connects"] for report in found.reports] == [1, 0]


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_none(proxy, status):
    found = curl(f"{proxy.url}/{status}")
    assert (found.answer.status, found.answer.body) == (status, b"")
    assert found.answer.get("transfer-encoding") is None
    assert found.report["time_total"] < 2


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_arrives_whole_and_in_its_framing(proxy, classic, tmp_path, framing):
    file = tmp_path / "upload"
    file.write_bytes(content(MEGABYTES))
    how = {"length": ["--data-binary", f"@{file}"], "chunked": ["-H", "Transfer-Encoding: chunked", "-T", file]}[framing]
    found = curl("-H", "Expect: 100-continue", *how, f"{proxy.url}/upload")
    assert found.answer.status == 200
    assert json.loads(found.answer.body) == {
        "sha256": hashlib.sha256(content(MEGABYTES)).hexdigest(),
        "size": MEGABYTES,
        "framing": framing,
    }
    assert 100 in found.answer.interim, "curl was told to go on"
    assert classic.last().get("expect") is None, "the engine was not asked"


@pytest.mark.parametrize("path", ["sized", "chunked"])
def test_a_download_arrives_whole(proxy, path):
    found = curl(f"{proxy.url}/{path}?size={MEGABYTES}")
    assert hashlib.sha256(found.answer.body).digest() == hashlib.sha256(content(MEGABYTES)).digest()


def test_a_slow_reader_gets_everything_and_costs_no_memory(proxy):
    curl(f"{proxy.url}/sized?size={MEGABYTES}")
    before = proxy.program.resident_bytes()
    size = 3 * MEGABYTES
    found = curl("--limit-rate", "20M", f"{proxy.url}/sized?size={size}")
    assert hashlib.sha256(found.answer.body).digest() == hashlib.sha256(content(size)).digest()
    assert proxy.program.resident_bytes() - before < MEGABYTES, "60 MB went through, and stayed nowhere"


def test_an_http_1_0_client_gets_a_body_that_it_can_read(proxy):
    found = curl("--http1.0", f"{proxy.url}/chunked?size=100000")
    assert found.answer.status == 200
    assert found.answer.get("transfer-encoding") is None
    assert found.answer.body == content(100_000)


def test_trailers_pass(proxy):
    found = curl("-H", "TE: trailers", "-H", "Connection: TE", f"{proxy.url}/chunked?size=10&trailers=yes")
    assert found.answer.body == content(10)
    assert found.answer.trailers == [("x-sum", "42")]


@pytest.mark.parametrize(
    "headers", [["-H", "x-big: " + "a" * 40_000], [part for n in range(120) for part in ("-H", f"x-{n}: 1")]], ids=["long", "many"]
)
def test_a_head_over_the_limits_gets_431(proxy, classic, headers):
    found = curl(*headers, f"{proxy.url}/", code=None)
    assert found.answer.status == 431
    assert not classic.requests, "nothing of it reached an engine"


def test_the_engine_sees_who_asked(proxy, classic):
    curl("-H", "X-Forwarded-For: 203.0.113.9", "-H", "Connection: x-gone", "-H", "X-Gone: 1", "-H", "Host: portal.test:81",
         f"{proxy.url}/path?q=1")  # fmt: skip
    seen = classic.last()
    assert (seen.target, seen.get("host")) == ("/path?q=1", "portal.test:81")
    assert seen.all("x-forwarded-for") == ["127.0.0.1"], "an untrusted peer's word is overwritten"
    assert (seen.get("x-forwarded-proto"), seen.get("x-forwarded-host")) == ("http", "portal.test:81")
    assert seen.get("x-request-id")
    assert seen.get("x-gone") is None and seen.get("via") is None


def test_errors_speak_the_clients_language(start, classic, identity):
    proxy = start(classic, identity, app='hosts = ["portal.test"]')
    for accept, kind in [("text/html", "text/html"), ("application/json", "application/problem+json")]:
        found = curl("-H", "Host: elsewhere.test", "-H", f"Accept: {accept}", f"{proxy.url}/")
        assert found.answer.status == 421
        assert found.answer.get("content-type").startswith(kind)
    problem = json.loads(found.answer.body)
    assert problem["status"] == 421
    assert proxy.metrics().value("cutover_answers_total") >= 2
    assert fetch(proxy.port, "/").text == "classic", "its own host is served"
