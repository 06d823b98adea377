"""PROXY protocol from those who speak it: HAProxy, nginx and curl in front of us, and the engine learns who the client is."""

import socket

import pytest

from support.pki import shown
from support.processes import Program, free_port, program, run
from support.waiting import eventually

# Not the senders' own address, which is the trusted one.
CLIENT = "127.0.0.7"
TRUST = '[trust]\nproxies = ["127.0.0.1"]\n'
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"


@pytest.fixture
def proxied(start, classic, identity):
    return start(classic, identity, percent=0, listener="proxy_protocol = true", tables=TRUST)


@pytest.fixture
def balancer(tmp_path):
    """Starts one of them in front of a proxy; returns its port."""
    started = []

    def balancer(kind, to):
        port, folder = free_port(), tmp_path / kind
        folder.mkdir()
        command = {"nginx": nginx}.get(kind, haproxy)(kind, folder, port, to.address)
        started.append(Program(command, folder / "log"))

        def listens():
            assert started[-1].is_running(), started[-1].words()
            socket.create_connection(("127.0.0.1", port)).close()
            return True

        eventually(listens, 10, f"{kind} listens")
        return port

    yield balancer
    for running in started:
        running.stop()


def haproxy(kind, folder, port, to):
    config = folder / "haproxy.cfg"
    config.write_text(f"""defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
listen in
  bind 127.0.0.1:{port}
  server out {to} {kind.removeprefix("haproxy-")}
""")
    return [program("haproxy"), "-db", "-f", config]


def nginx(_, folder, port, to):
    config = folder / "nginx.conf"
    config.write_text(f"""load_module {MODULE};
daemon off;
worker_processes 1;
pid {folder}/pid;
events {{}}
stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass {to}; proxy_protocol on; }} }}
""")
    return [program("nginx"), "-e", folder / "error.log", "-p", folder, "-c", config]


SENDERS = pytest.mark.parametrize("kind", ["haproxy-send-proxy", "haproxy-send-proxy-v2", "nginx"])


@SENDERS
def test_the_engine_sees_the_client_and_not_the_balancer(proxied, balancer, classic, kind):
    port = balancer(kind, proxied)
    told = run("curl", "-sS", "--interface", CLIENT, "-H", "x-forwarded-for: 192.0.2.1", f"http://127.0.0.1:{port}/")
    assert told.stdout == "classic"
    seen = classic.requests[-1]
    assert seen.get("x-forwarded-for") == CLIENT, "what the client itself wrote there is not believed"
    assert seen.get("forwarded").startswith(f"for={CLIENT};")
    # The port that the client came to is the balancer's.
    assert seen.get("x-forwarded-port") == str(port)


@SENDERS
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_header_goes_before_the_handshake(start, classic, identity, authority, localhost, balancer, kind, version):
    listener = f"proxy_protocol = true\n{shown(localhost)}"
    port = balancer(kind, start(classic, identity, percent=0, listener=listener, tables=TRUST))
    run("curl", "-sSf", version, "--interface", CLIENT, "--cacert", authority.pem, f"https://localhost:{port}/")
    seen = classic.requests[-1]
    assert (seen.get("x-forwarded-for"), seen.get("x-forwarded-proto")) == (CLIENT, "https")


def test_the_certificate_behind_a_balancer_is_the_clients(start, classic, identity, authority, localhost, balancer):
    listener = f"proxy_protocol = true\n{shown(localhost, client_ca=authority.pem)}"
    target = '[[apps.portal.targets]]\nname = "ada"\nengine = "identity"\nsubjects = ["ada@example.com"]\n'
    proxy = start(classic, identity, keys=["client-cert:san"], percent=0, listener=listener, tables=target + TRUST)
    port = balancer("haproxy-send-proxy-v2", proxy)
    ada = authority.client("Ada", "email:ada@example.com")
    own = ["--cert", ada.cert, "--key", ada.key, "--cacert", authority.pem]
    assert run("curl", "-sS", "--interface", CLIENT, *own, f"https://localhost:{port}/").stdout == "identity"


def test_curl_speaks_for_itself_and_a_stranger_is_turned_away(proxied, classic):
    assert run("curl", "-sS", "--haproxy-protocol", f"{proxied.url}/").stdout == "classic"
    assert classic.requests[-1].get("x-forwarded-for") == "127.0.0.1"
    # The same words from an address that is not trusted, and no words at all from one that is.
    for arguments in [["--haproxy-protocol", "--interface", CLIENT], []]:
        done = run("curl", "-sS", *arguments, f"{proxied.url}/", code=None)
        assert done.returncode in (52, 55, 56), done.stderr
    assert len(classic.requests) == 1
    reasons = ("not_trusted", "no_header")

    def turned_away():
        told = proxied.metrics()
        return [told.count("cutover_connections_turned_away_total", reason=reason) for reason in reasons]

    eventually(lambda: turned_away() == [1, 1], what="both are counted")
