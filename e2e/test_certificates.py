"""Certificates that change while clients shake hands without pause: every change is taken up, and no handshake fails."""

import base64
import hashlib
import os

import pytest

from support.handshakes import Handshakes
from support.pki import Pair, shown
from support.proxy import write_file
from support.waiting import eventually

SWAPS = 20
# At least so many handshakes lie between two changes.
BETWEEN = 200


@pytest.fixture(scope="module")
def pairs(authority):
    return [authority.issue("localhost") for _ in range(SWAPS + 1)]


def digest(pair):
    lines = pair.cert.read_text().splitlines()
    return hashlib.sha256(base64.b64decode("".join(line for line in lines if not line.startswith("-")))).hexdigest()


def by_rename(folder, pair, _):
    """As certbot and editors do it: one file after the other, each whole."""
    write_file(folder / "tls.key", pair.key.read_text())
    write_file(folder / "tls.crt", pair.cert.read_text())


def by_link(folder, pair, number):
    """As Kubernetes does it: a folder of its own for both, and the one link that leads there."""
    versioned = folder / f"..version-{number}"
    versioned.mkdir()
    (versioned / "tls.crt").write_bytes(pair.cert.read_bytes())
    (versioned / "tls.key").write_bytes(pair.key.read_bytes())
    beside = folder / "..data_tmp"
    beside.symlink_to(versioned.name)
    before = os.path.realpath(folder / "..data") if (folder / "..data").exists() else None
    beside.replace(folder / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    # The old one goes at once.
    if before:
        for name in ("tls.crt", "tls.key"):
            os.unlink(f"{before}/{name}")
        os.rmdir(before)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("swap", [by_rename, by_link])
def test_certificates_change_under_handshakes_and_none_fails(start, classic, identity, authority, pairs, tmp_path, capsys, swap):
    folder = tmp_path / "certificates"
    folder.mkdir()
    swap(folder, pairs[0], 0)
    proxy = start(classic, identity, listener=shown(Pair(folder / "tls.crt", folder / "tls.key")))
    handshakes = Handshakes(proxy.port, authority.pem)
    try:
        for number, pair in enumerate(pairs):
            if number:
                swap(folder, pair, number)
            enough = handshakes.count() + BETWEEN
            eventually(lambda pair=pair: handshakes.have_all_seen(digest(pair)), 20, f"certificate {number} is shown to all")
            eventually(lambda enough=enough: handshakes.count() >= enough, 60, f"{BETWEEN} handshakes")
    finally:
        done, failed, rate = handshakes.stop()
    assert failed == []
    assert proxy.metrics().count("cutover_tls_handshake_failures_total") == 0
    assert proxy.metrics().value("cutover_config_last_reload_successful") == 1
    with capsys.disabled():
        print(f"\n{done} handshakes, {rate:.0f} a second, across {SWAPS} changes ({swap.__name__})")
