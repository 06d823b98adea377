"""openssl s_client at a listener: who is shown what, whom it lets in, and what becomes of those who refuse."""

import re
import subprocess

import pytest

from support.pki import Authority, shown
from support.waiting import eventually

GET = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
TARGET = '[[apps.portal.targets]]\nname = "ada"\nengine = "identity"\nsubjects = ["ada@example.com"]\n'
VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])


@pytest.fixture
def s_client(authority):
    """Shakes hands, sends a request if there is one, and returns how it ended and all that was said."""

    def s_client(proxy, *arguments, request=""):
        command = ["openssl", "s_client", "-connect", proxy.address, "-CAfile", authority.pem, "-ign_eof" if request else "-no_ign_eof", *arguments]
        return subprocess.run(list(map(str, command)), input=request, capture_output=True, text=True, timeout=30)

    return s_client


def subject(done):
    return re.search(r"^subject=CN = (.*)$", done.stdout, re.MULTILINE)[1]


def failures(proxy):
    """How many handshakes failed, by reason."""
    samples = proxy.metrics().samples
    return {sample.labels["reason"]: sample.value for sample in samples
            if sample.name == "cutover_tls_handshake_failures_total" and sample.value}  # fmt: skip


@pytest.fixture(scope="module")
def site(authority):
    """A default, a name, and a wildcard."""
    return [authority.issue(*hosts) for hosts in (["portal.example.com"], ["shop.example.org"], ["*.example.net"])]


@VERSIONS
def test_the_certificate_follows_the_name_that_is_asked_for(start, classic, identity, site, s_client, version):
    proxy = start(classic, identity, listener=shown(*site))
    for asked, found in [
        ("portal.example.com", "portal.example.com"),
        ("shop.example.org", "shop.example.org"),
        ("SHOP.Example.Org", "shop.example.org"),
        ("a.example.net", "any.example.net"),
        ("a.b.example.net", "portal.example.com"),
        ("example.net", "portal.example.com"),
        ("unknown.test", "portal.example.com"),
    ]:
        assert subject(s_client(proxy, version, "-servername", asked)) == found, asked
    assert subject(s_client(proxy, version, "-noservername")) == "portal.example.com"
    assert failures(proxy) == {}


@VERSIONS
def test_a_client_that_finds_another_name_refuses_and_it_is_counted(start, classic, identity, site, s_client, version):
    proxy = start(classic, identity, listener=shown(*site))
    strict = ["-verify_return_error", "-verify_hostname", "unknown.test", "-servername", "unknown.test", version]
    done = s_client(proxy, *strict, request=GET)
    assert done.returncode != 0 and "HTTP/1.1" not in done.stdout, done.stdout
    eventually(lambda: failures(proxy) == {"refused_certificate": 1}, what="it is counted")
    assert classic.requests == []


def test_an_rsa_certificate_stands_beside_an_ecdsa_one(start, classic, identity, authority, localhost, s_client):
    rsa = authority.issue("localhost", kind="rsa")
    proxy = start(classic, identity, listener=shown(localhost, rsa))
    for algorithms, kind in [("ECDSA+SHA256:RSA-PSS+SHA256", "ECDSA"), ("RSA-PSS+SHA256", "RSA-PSS")]:
        done = s_client(proxy, "-servername", "localhost", "-sigalgs", algorithms)
        assert f"Peer signature type: {kind}\n" in done.stdout, done.stdout


@VERSIONS
def test_the_response_of_the_authority_is_stapled(start, classic, identity, authority, s_client, version):
    pair = authority.issue("localhost", ocsp_uri="http://ocsp.example")
    plain = start(classic, identity, listener=shown(pair))
    assert "OCSP response: no response sent" in s_client(plain, version, "-status").stdout
    stapled = start(classic, identity, listener=shown(pair, ocsp=authority.ocsp(pair)))
    told = s_client(stapled, version, "-status").stdout
    assert "OCSP Response Status: successful (0x0)" in told and "Cert Status: good" in told, told
    assert "OCSP" not in s_client(stapled, version).stdout, "only who asks gets one"


@pytest.fixture
def asking(start, classic, identity, authority, localhost):
    """A proxy that asks for certificates, and looks for its users there."""
    listener = shown(localhost, client_ca=authority.pem)
    return start(classic, identity, keys=["client-cert:san"], percent=0, tables=TARGET, listener=listener)


@VERSIONS
def test_the_certificate_of_a_client_decides_which_engine_serves(asking, authority, s_client, version, tmp_path):
    for names, engine in [
        (("Ada", "email:Ada@Example.com"), "identity"),
        (("ada@example.com", "email:bob@example.com"), "classic"),
        (("Ada", "URI:spiffe://example.com/ada", "email:ada@example.com"), "classic"),
    ]:
        own = authority.client(*names)
        session = tmp_path / f"{own.cert.stem}.session"
        for more, reused in [(["-sess_out", session], False), (["-sess_in", session], True)]:
            done = s_client(asking, version, "-cert", own.cert, "-key", own.key, *more, request=GET)
            assert f"\nx-engine: {engine}\n" in done.stdout, done.stdout
            assert ("Reused, " in done.stdout) == reused
    told = asking.metrics()
    assert told.value("cutover_decisions_total", reason="target", engine="identity") == 2
    assert told.value("cutover_decisions_total", reason="cohort", engine="classic") == 4


@VERSIONS
def test_who_shows_no_certificate_of_ours_is_turned_away(asking, classic, s_client, version, tmp_path):
    stranger = Authority(tmp_path, "Another Authority").client("Ada", "email:ada@example.com")
    for arguments in [[], ["-cert", stranger.cert, "-key", stranger.key]]:
        done = s_client(asking, version, *arguments, request=GET)
        assert "HTTP/1.1" not in done.stdout and "alert" in done.stderr, (done.stdout, done.stderr)
    eventually(lambda: failures(asking) == {"client_certificate": 2}, what="they are counted")
    assert classic.requests == []
