"""Fixtures: everything that is started here is stopped here, and a failed test shows the logs."""

import pytest

from support.engines import NginxEngines, PythonEngine
from support.pki import Authority, shown
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


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Whose certificates clients and proxies of tests take."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def localhost(authority):
    return authority.issue("localhost")


@pytest.fixture
def secure(start, classic, identity, localhost):
    """A proxy whose only listener speaks TLS."""
    return start(classic, identity, percent=0, listener=shown(localhost))


@pytest.fixture
def proxy(start, classic, identity):
    """A proxy between two engines that record, at 25 %."""
    return start(classic, identity)
