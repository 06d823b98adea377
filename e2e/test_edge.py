"""TLS and HTTP/2 as curl and openssl speak them."""

import json
import subprocess

import pytest

from support.processes import run
from support.proxy import BINARY


@pytest.fixture
def curl(authority):
    """Runs curl, which says the HTTP version that was spoken, and the status."""

    def curl(*arguments):
        told = run("curl", "-sS", "--cacert", authority.pem, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", *arguments)
        return told.stdout

    return curl


@pytest.mark.parametrize("flag, version", [("--http1.1", "1.1"), ("--http2", "2")])
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_curl_over_tls(secure, curl, flag, version, tls):
    assert curl(flag, f"--tlsv{tls}", "--tls-max", tls, secure.secure_url) == f"{version} 200"


def test_the_engine_is_told_https(secure, curl, classic):
    curl(secure.secure_url)
    assert classic.last().get("x-forwarded-proto") == "https"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_shakes_hands_and_takes_its_session_up_again(secure, authority, version):
    session = secure.folder / "session"
    request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    told = []
    for more in (["-sess_out", session], ["-sess_in", session]):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", "-servername", "localhost", version,
                   "-CAfile", authority.pem, "-ign_eof", *more]  # fmt: skip
        done = subprocess.run(list(map(str, command)), input=request, capture_output=True, text=True, timeout=30)
        assert "Verify return code: 0 (ok)" in done.stdout and "HTTP/1.1 200" in done.stdout, done.stdout
        told.append("Reused, " in done.stdout)
    assert told == [False, True]


def test_old_versions_are_refused(secure):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and "Cipher is (NONE)" in done.stdout, done.stdout


def test_curl_speaks_http2_with_prior_knowledge(proxy):
    told = run("curl", "-sS", "--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}", f"{proxy.url}/").stdout
    assert told == "classic\n2 200"


def test_check_tells_what_is_shown(secure):
    told = json.loads(run(BINARY, "check", "--json", secure.path).stdout)
    shown = told["edge"][0]["certificates"][0]
    assert (shown["names"], shown["key"]) == (["localhost"], "ECDSA")
    assert shown["days_left"] in (89, 90)
