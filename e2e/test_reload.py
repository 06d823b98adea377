"""Edits while traffic flows: good ones cost nothing, bad ones change nothing but an alarm."""

import json
import re
import signal
import socket

import pytest

from support.buckets import engine
from support.client import ask_for_all
from support.tools import Wrk, cutover
from support.waiting import eventually

USERS = [f"user-{number}" for number in range(200)]


def test_twenty_edits_under_load_fail_no_request(start, nginx, tmp_path):
    proxy = start(nginx.classic, nginx.identity, top="[log]\naccess = false")
    wrk = Wrk(tmp_path, proxy.url, seconds=15)
    try:
        for number in range(20):
            percent = 26 + number
            before = proxy.generation()
            match number % 3:
                case 0:
                    proxy.write(proxy.text(percent=percent))
                case 1:
                    proxy.path.write_text(proxy.text(percent=percent))
                case 2:
                    cutover("set", "portal", str(percent), "--config", proxy.path)
            eventually(lambda: proxy.generation() > before, 2, f"edit {number} is applied")
            share = proxy.metrics().value("cutover_share_ratio", app="portal")
            assert share == pytest.approx(percent / 100)
        assert wrk.is_running(), "the edits were made under load"
        found = wrk.result()
    finally:
        wrk.stop()
    assert found.pop("requests") > 1000
    assert set(found.values()) == {0}, found
    assert ask_for_all(proxy.port, USERS) == {user: engine("portal", user, 45) for user in USERS}
    assert "# how far we are" in proxy.path.read_text(), "`set` keeps comments"


def broken_edits(proxy, port_in_use):
    """What operators do to files, and a word that the message about it must have."""
    good = proxy.text()

    def changed(before, after):
        assert before in good
        return good.replace(before, after)

    return {
        "syntax": (good + "\n[apps.portal", r"toml|expected|invalid|unclosed"),
        "unknown key": (changed("percent = 25", "pecrent = 25"), "percent"),
        "bad unit": (good + '\n[shutdown]\ndrain = "30 lightyears"', "drain"),
        "out of range": (changed("percent = 25", "percent = 125"), "percent"),
        "duplicate host": (
            changed("percent = 25", 'hosts = ["a.test"]\npercent = 25')
            + '\n[apps.b]\nhosts = ["a.test"]\nclassic = { endpoints = ["http://127.0.0.1:1"] }'
            + '\nidentity = { endpoints = ["http://127.0.0.1:1"] }\n',
            r"a\.test",
        ),
        "port in use": (good + f'\n[[listeners]]\nbind = "127.0.0.1:{port_in_use}"', str(port_in_use)),
        "missing key file": (changed(str(proxy.key_file), str(proxy.key_file) + ".gone"), "gone"),
        "empty file": ("", r"listeners|empty"),
        "changed salt": (changed("percent = 25", 'salt = "other"\npercent = 25'), "epoch"),
        "changed keys": (changed('["cookie:uid", "device"]', '["query:login_hint", "device"]'), "epoch"),
        "missing subjects": (
            good + '\n[[apps.portal.targets]]\nname = "t"\nengine = "identity"\nsubjects_file = "nowhere.txt"\n',
            "nowhere",
        ),
    }


def refusals(proxy):
    return proxy.metrics().value("cutover_config_reloads_total", result="failure")


def test_broken_edits_change_nothing_but_the_alarm_and_the_next_good_one_is_applied(proxy):
    expected = ask_for_all(proxy.port, USERS)
    generation = proxy.generation()
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        for name, (text, word) in broken_edits(proxy, occupied.getsockname()[1]).items():
            failures, words = refusals(proxy), len(proxy.program.words())
            proxy.write(text)
            eventually(lambda: refusals(proxy) > failures, 2, f"{name} is refused")
            metrics = proxy.metrics()
            assert metrics.value("cutover_config_last_reload_successful") == 0, name
            assert metrics.value("cutover_config_generation") == generation, name
            assert ask_for_all(proxy.port, USERS) == expected, name
            said = eventually(lambda: proxy.program.words()[words:], 2, f"something is said about {name}")
            assert re.search(word, said, re.IGNORECASE), f"{name}: {said}"

        # A file that is gone is no edit to apply either.
        proxy.path.unlink()
        eventually(lambda: proxy.metrics().value("cutover_config_last_reload_successful") == 0, 2, "the alarm stays")
        assert ask_for_all(proxy.port, USERS) == expected

    proxy.edit(proxy.text(percent=60), within=2)
    assert proxy.metrics().value("cutover_config_last_reload_successful") == 1
    assert ask_for_all(proxy.port, USERS) == {user: engine("portal", user, 60) for user in USERS}


def test_kubernetes_swaps_a_link(start, classic, identity, tmp_path):
    """A mounted ConfigMap: the file is a link into `..data`, which is a link that is replaced."""
    proxy = start(classic, identity)
    assert proxy.stop() == 0
    volume = tmp_path / "volume"
    for version, percent in (("..1", 25), ("..2", 40)):
        (volume / version).mkdir(parents=True)
        (volume / version / "cutover.toml").write_text(proxy.text(percent=percent))
    (volume / "..data").symlink_to("..1")
    (volume / "cutover.toml").symlink_to("..data/cutover.toml")
    proxy.path = volume / "cutover.toml"
    proxy.start()
    (volume / "..new").symlink_to("..2")
    (volume / "..new").rename(volume / "..data")
    eventually(lambda: proxy.metrics().value("cutover_share_ratio", app="portal") == pytest.approx(0.4), 5, "the swap is seen")


def test_sighup_over_an_unchanged_file_is_no_new_generation(proxy):
    before = proxy.generation()
    proxy.edit(proxy.text(percent=30))
    for _ in range(3):
        proxy.program.signal(signal.SIGHUP)
    proxy.edit(proxy.text(percent=35))
    assert proxy.generation() == before + 2
    assert proxy.program.is_running()


def test_a_reload_over_http_needs_the_token(start, proxy, classic, identity):
    assert proxy.admin("/api/v1/reload", method="POST")[0] == 403, "this file names no token"
    guarded = start(classic, identity, name="guarded", token="open sesame please")
    assert guarded.admin("/api/v1/reload", method="POST")[0] in (401, 403)
    assert guarded.admin("/api/v1/reload", method="POST", token="wrong")[0] in (401, 403)
    assert guarded.admin("/api/v1/reload", method="POST", token="open sesame please")[0] == 200
    # A reload that was asked for answers with what came of it, also when the watcher was faster.
    before = guarded.generation()
    guarded.write(guarded.text(percent=30))
    status, text = guarded.admin("/api/v1/reload", method="POST", token="open sesame please")
    assert status == 200 and json.loads(text)
    assert guarded.generation() == before + 1
    guarded.write("nonsense")
    status, text = guarded.admin("/api/v1/reload", method="POST", token="open sesame please")
    assert 400 <= status < 500 and "nonsense" in text
    assert guarded.generation() == before + 1


def test_a_listener_comes_and_goes_while_the_other_serves(proxy):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    expected = ask_for_all(proxy.port, USERS)
    proxy.edit(proxy.text() + f'\n[[listeners]]\nbind = "127.0.0.1:{port}"\n')
    assert eventually(lambda: ask_for_all(port, USERS), 2) == expected
    proxy.edit(proxy.text())

    def is_refused():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            return True
        return False

    eventually(is_refused, 5, "the removed listener is gone")
    assert ask_for_all(proxy.port, USERS) == expected
