"""SIGTERM: whoever is connected gets an answer and a good-bye, and nobody a reset."""

import asyncio
import signal

from support.client import Broken, Connection
from support.waiting import eventually, until


class Visitor:
    """Asks again and again on one connection until it is told, politely, that this was the last answer."""

    def __init__(self):
        self.answers, self.told, self.broken = 0, False, None

    async def visit(self, port):
        connection = await Connection.open(port)
        try:
            while not self.told:
                answer = await connection.ask(headers=[("cookie", "uid=user-7")])
                assert answer.status == 200
                self.answers += 1
                self.told = answer.closes
            assert await connection.is_closed_by_peer(5), "whoever says close closes"
        except Broken as error:
            self.broken = error
        finally:
            connection.close()


def test_sigterm_under_load_resets_nobody(start, nginx):
    proxy = start(nginx.classic, nginx.identity, top='[shutdown]\ndrain = "10s"\n[log]\naccess = false')
    visitors = [Visitor() for _ in range(64)]

    async def story():
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for visitor in visitors:
                group.create_task(visitor.visit(proxy.port))
            await until(lambda: min(visitor.answers for visitor in visitors) >= 20, 15)
            proxy.program.signal(signal.SIGTERM)

    asyncio.run(story())
    assert [visitor.broken for visitor in visitors if visitor.broken] == []
    assert all(visitor.told for visitor in visitors)
    assert proxy.program.wait(5) == 0, "with everybody gone nothing is left to wait for"


def test_a_request_in_flight_is_finished_and_readiness_tells(start, classic, identity):
    proxy = start(classic, identity, top='[shutdown]\ndrain = "10s"')

    async def story():
        connection = await Connection.open(proxy.port)
        asking = asyncio.create_task(connection.ask("/slow?ms=1500"))
        await until(lambda: classic.requests)
        proxy.program.signal(signal.SIGTERM)
        await asyncio.to_thread(eventually, lambda: proxy.admin("/readyz")[0] == 503, 1, "not ready any more")
        assert proxy.admin("/healthz")[0] == 200, "alive all the same"
        answer = await asking
        assert (answer.status, answer.text, answer.closes) == (200, "classic", True)
        connection.close()

    asyncio.run(story())
    assert proxy.program.wait(5) == 0


def test_an_idle_connection_may_ask_once_more_and_does_not_hold_the_end_up(start, classic, identity):
    proxy = start(classic, identity, top='[shutdown]\ndrain = "2s"')

    async def story():
        asking, silent = await Connection.open(proxy.port), await Connection.open(proxy.port)
        for connection in (asking, silent):
            assert (await connection.ask()).status == 200
        proxy.program.signal(signal.SIGTERM)
        await asyncio.to_thread(eventually, lambda: proxy.admin("/readyz")[0] == 503, 1, "draining")
        answer = await asking.ask()
        assert (answer.status, answer.closes) == (200, True)
        assert await silent.is_closed_by_peer(5), "closed at the end of the drain, not reset"
        asking.close()
        silent.close()

    asyncio.run(story())
    assert proxy.program.wait(5) == 0


def test_nothing_new_is_accepted_and_the_end_comes_with_the_drain(start, classic, identity):
    proxy = start(classic, identity, top='[shutdown]\ndrain = "1s"')

    async def story():
        hanging = await Connection.open(proxy.port)
        asking = asyncio.create_task(hanging.ask("/hang", within=20))
        await until(lambda: classic.requests)
        proxy.program.signal(signal.SIGINT)

        async def is_refused():
            try:
                (await Connection.open(proxy.port)).close()
            except ConnectionRefusedError:
                return True
            return False

        async with asyncio.timeout(5):
            while not await is_refused():
                await asyncio.sleep(0.02)
        # What was still in flight after the drain is cut; that is what the drain is a limit for.
        (ended,) = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(ended, Broken) or ended.status >= 500

    asyncio.run(story())
    assert proxy.program.wait(5) == 0
