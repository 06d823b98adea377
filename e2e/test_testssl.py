"""testssl.sh against the default settings of a TLS listener: what it finds is asserted, not printed."""

import json
import subprocess

import pytest

from support.pki import shown
from support.processes import program

# What is for whoever runs a site to see to, and not for a server's defaults: who signed the certificate and how it is
# revoked, what DNS says of it, whether the engine compresses secrets.
NOT_OURS = {"cert_chain_of_trust", "cert_revocation", "cert_crlDistributionPoints", "cert_ocspURL", "DNS_CAArecord", "BREACH"}
# Where it could not tell, by reason of Debian's openssl: that has no RC4 to offer, and often hangs up before the ticket of
# TLS 1.3 has come, which the tests of openssl wait for.
NOT_ASKED = {"RC4", "sessionresumption_ticket"}
# An engine that looks after its pages: these headers are its business, and testssl.sh asks for them.
HEADERS = [
    ("x-frame-options", "DENY"), ("x-content-type-options", "nosniff"), ("content-security-policy", "default-src 'self'"),
    ("referrer-policy", "no-referrer"),
]  # fmt: skip


@pytest.mark.timeout(400)
def test_testssl_finds_nothing_above_low(start, classic, identity, authority, localhost, tmp_path):
    classic.headers = HEADERS
    proxy = start(classic, identity, percent=0, listener=shown(localhost, authority.issue("localhost", kind="rsa")))
    findings = tmp_path / "findings.json"
    # Every section that judges. Left out are the simulated clients, which are told and not judged; and, by --fast, that each
    # cipher that openssl knows is tried in a handshake of its own: minutes, for what the tests by category find as well.
    sections = ["--protocols", "--std", "--pfs", "--server-preference", "--server-defaults", "--header", "--vulnerable"]
    command = [program("testssl"), "--quiet", "--color", "0", "--warnings", "off", "--fast", "--nodns", "min", *sections,
               "--jsonfile", findings, f"localhost:{proxy.port}"]  # fmt: skip
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=390)
    found = json.loads(findings.read_text())
    severities = {finding["id"]: finding["severity"] for finding in found}

    bad = [finding for finding in found if finding["severity"] not in ("OK", "INFO", "LOW", "DEBUG")]
    bad = [finding for finding in bad if finding["id"].split(" ")[0] not in NOT_OURS | NOT_ASKED]
    assert bad == [], done.stdout
    # It did look: protocols, order, vulnerabilities, and the end of the run.
    expected = {"TLS1": "INFO", "TLS1_1": "INFO", "TLS1_2": "OK", "TLS1_3": "OK", "cipher_order": "OK", "heartbleed": "OK", "ROBOT": "OK",
                "secure_renego": "OK", "CRIME_TLS": "OK", "SWEET32": "OK", "PFS": "OK"}  # fmt: skip
    assert {name: severities.get(name) for name in expected} == expected, sorted(severities)
    assert "scanTime" in severities and len(found) > 100
