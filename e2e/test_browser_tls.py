"""A real browser over TLS: it chooses HTTP/2, and keeps the ticket as a cookie that no other site and no plain connection sets."""

import base64
import hashlib

import pytest

from support.chromium import Chromium
from support.processes import run
from support.waiting import eventually


def spki(pair):
    """The digest by which Chromium is told to take one key, and no other, without its authority."""
    public = run("openssl", "x509", "-in", pair.cert, "-noout", "-pubkey").stdout
    der = base64.b64decode("".join(line for line in public.splitlines() if not line.startswith("-")))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory, localhost):
    chromium = Chromium(tmp_path_factory.mktemp("chromium"), f"--ignore-certificate-errors-spki-list={spki(localhost)}")
    yield chromium
    chromium.stop()


def test_a_page_loads_over_http2_and_the_ticket_is_a_host_cookie(chromium, secure, classic):
    browser = chromium.browser()
    tab = browser.tab().visit(f"{secure.secure_url}/")
    assert tab.text == "classic" and tab.page.status == 200
    assert tab.script("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    assert tab.script("isSecureContext")
    jar = browser.jar()
    assert set(jar) == {"__Host-cutover"}
    ticket = jar["__Host-cutover"]
    assert ticket["secure"] and ticket["httpOnly"] and ticket["path"] == "/" and ticket["session"]
    assert ticket["domain"] == "localhost" and ticket["sameSite"] == "Lax", ticket
    assert tab.script("document.cookie") == ""

    # The next page says who the browser is, over the same connection, and the engine hears nothing of it.
    tab.visit(f"{secure.secure_url}/again")
    told = secure.metrics()
    assert told.count("cutover_tickets_rejected_total") == 0
    assert [request.get("cookie") for request in classic.requests] == [None] * len(classic.requests)
    assert classic.requests[-1].get("x-forwarded-proto") == "https"
    # What everybody is asked for by itself, such as an icon, is no concern of this test.
    assert [request.path for request in classic.requests if request.path in ("/", "/again")] == ["/", "/again"]
    eventually(lambda: secure.metrics().value("cutover_connections_open") >= 1, what="a connection is kept")
    browser.close()
