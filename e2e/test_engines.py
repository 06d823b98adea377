"""Engines that misbehave, as real ones do: they close early, die, hang, or are not there."""

import asyncio

import pytest

from support.client import Connection, fetch
from support.engines import NginxEngines
from support.processes import free_port
from support.tools import curl
from support.waiting import eventually


def many(port, count, connections=4, method="GET", body=b""):
    """Statuses of many requests over keep-alive connections; a broken connection is an error of the test."""

    async def ask():
        left, found = iter(range(count)), []

        async def one():
            connection = await Connection.open(port)
            for _ in left:
                answer = await connection.ask(method=method, body=body)
                found.append(answer.status)
                if answer.closes:
                    connection.close()
                    connection = await Connection.open(port)
            connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(one())
        return found

    return asyncio.run(ask())


@pytest.mark.parametrize("method, body", [("GET", b""), ("POST", b"x" * 3000)])
def test_an_nginx_that_closes_every_tenth_answer_costs_the_client_nothing(start, tmp_path, method, body):
    engines = NginxEngines(tmp_path / "engines", keepalive_requests=10)
    try:
        proxy = start(engines.classic, engines.identity)
        # nginx answers POST to a `return` like GET.
        assert many(proxy.port, 2000, method=method, body=body) == [200] * 2000
    finally:
        engines.stop()


def test_connections_that_an_engine_closed_while_they_were_pooled_cost_the_client_nothing(start, tmp_path):
    engines = NginxEngines(tmp_path / "engines", keepalive_timeout="1s")
    try:
        proxy = start(engines.classic, engines.identity)

        async def visit():
            """Pauses around nginx's own time-out: some hit the connection just as it is closed."""
            connection = await Connection.open(proxy.port)
            for pause in (0.9, 0.98, 1.0, 1.02, 1.1, 1.5):
                assert (await connection.ask()).status == 200
                await asyncio.sleep(pause)
            connection.close()

        async def visit_all():
            async with asyncio.TaskGroup() as group:
                for _ in range(16):
                    group.create_task(visit())

        asyncio.run(visit_all())
    finally:
        engines.stop()


def test_an_engine_that_closes_without_a_word_costs_a_get_nothing(start, classic, identity):
    classic.close_after = identity.close_after = 3
    proxy = start(classic, identity)
    assert many(proxy.port, 500, connections=1) == [200] * 500


@pytest.mark.parametrize("path", ["die-sized", "die-chunked"])
def test_an_answer_that_breaks_off_is_never_passed_as_whole(proxy, path):
    found = curl(f"{proxy.url}/{path}", code=None)
    # A part of a body, or nothing at all when the engine's end came before we had passed on its beginning.
    assert found.code in (18, 52, 56), f"curl saw a clean end: {found}"


def test_an_engine_that_closes_instead_of_answering_is_a_502(proxy):
    assert curl(f"{proxy.url}/die-early").answer.status == 502


def test_an_engine_that_refuses_is_a_502_and_one_that_hangs_a_504(start, identity):
    refusing = start(f"http://127.0.0.1:{free_port()}", identity, name="refusing")
    assert curl(f"{refusing.url}/").answer.status == 502
    hanging = start(identity, identity, name="hanging", pools='timeouts = { response = "300ms" }')
    found = curl(f"{hanging.url}/hang")
    assert found.answer.status == 504
    assert found.report["time_total"] < 3
    assert b"127.0.0.1" not in found.answer.body, "no upstream details"
    assert hanging.metrics().value("cutover_upstream_failures_total") >= 1


def test_an_engine_that_is_gone_may_be_stood_in_for(start, identity):
    proxy = start(f"http://127.0.0.1:{free_port()}", identity, app='on_unavailable = "failover"')
    answer = fetch(proxy.port)
    assert (answer.status, answer.text) == (200, "identity")
    assert proxy.metrics().value("cutover_decisions_total", reason="failover") >= 1


def test_connections_to_the_engines_are_reused(proxy, classic):
    assert many(proxy.port, 200, connections=1) == [200] * 200
    assert classic.connections <= 4, "a pool per worker, not a connection per request"


def test_a_client_that_leaves_ends_the_request_at_the_engine(proxy, classic):
    async def leave():
        connection = await Connection.open(proxy.port)
        with pytest.raises(TimeoutError):
            await connection.ask("/hang", within=0.3)
        connection.close()

    asyncio.run(leave())
    eventually(lambda: proxy.metrics().value("cutover_requests_in_flight") == 0, 5, "nothing is in flight")
