"""Fixtures: everything that is started here is stopped here, and a failed test shows the logs."""

import pytest

from support.engines import NginxEngines, PythonEngine
from support.proxy import Proxy


@pytest.fixture
def classic():
    engine = PythonEngine("classic")
    yield engine
    engine.stop()


@pytest.fixture
def identity():
    engine = PythonEngine("identity")
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def nginx(tmp_path_factory):
    engines = NginxEngines(tmp_path_factory.mktemp("engines") / "nginx")
    yield engines
    engines.stop()


@pytest.fixture
def start(tmp_path):
    """Starts proxies: `start(classic, identity, percent=…)`; their logs are printed when the test is over."""
    started = []

    def start(classic, identity, name="proxy", **options):
        proxy = Proxy(tmp_path / f"{name}-{len(started)}", classic, identity, **options)
        started.append(proxy)
        return proxy.start()

    yield start
    for proxy in started:
        proxy.stop()
        if proxy.program:
            print(f"--- log of {proxy.folder.name}\n{proxy.program.words()[-6000:]}")


@pytest.fixture
def proxy(start, classic, identity):
    """A proxy between two engines that record, at 25 %."""
    return start(classic, identity)
