"""The README's tour, in a real browser."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from support.chromium import Chromium
from support.processes import Program, free_port
from support.proxy import BINARY, Metrics
from support.tools import cutover
from support.waiting import eventually

OTHER = {"classic": "identity", "identity": "classic"}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    chromium = Chromium(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.stop()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo
    demo.stop()


@pytest.fixture
def fresh_demo(tmp_path):
    demo = Demo(tmp_path)
    yield demo
    demo.stop()


@pytest.fixture
def browser(chromium):
    """Starts browsers that know nothing of each other."""
    started = []

    def browser():
        started.append(chromium.browser())
        return started[-1]

    yield browser
    for browser in started:
        browser.close()


class Demo:
    def __init__(self, folder):
        self.program = Program([BINARY, "demo", "--port", free_port(), "--json"], folder / "log")
        self.places = eventually(self._places, 15, "the demo says where it is")
        self.url, self.admin, self.config = (self.places[name] for name in ("app", "admin", "config"))

    def _places(self):
        words = self.program.words()
        return json.JSONDecoder().raw_decode(words[words.index("{") :])[0]

    def metrics(self):
        with urllib.request.urlopen(f"{self.admin}/metrics", timeout=5) as answer:
            return Metrics(answer.read().decode())

    def set(self, workflow, percent):
        """The command of the tour; the running proxy takes it up by itself."""
        cutover("set", f"portal/{workflow}", percent, "--config", self.config)
        self.is_at(workflow, percent)

    def is_at(self, workflow, percent):
        def is_taken_up():
            return self.metrics().value("cutover_share_ratio", app="portal", workflow=workflow) == percent / 100

        eventually(is_taken_up, 5, f"{workflow} is at {percent} %")

    def follow(self, block):
        """Does as a block of the README says, and sees what it shows. Lines may be left out of what was said on
        standard error, and of nothing else."""
        command, *shown = block.removeprefix("$ ").splitlines()
        places = {"127.0.0.1:8080": self.url[7:], "127.0.0.1:9900": self.admin[7:], "cutover status": f"cutover status --admin {self.admin}"}
        for ours, its in places.items():
            command = command.replace(ours, its)
        surroundings = os.environ | {"CONFIG": self.config, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}
        found = subprocess.run(["bash", "-c", command], env=surroundings, capture_output=True, text=True, timeout=30)
        assert found.returncode == 0, found
        said = {same(line) for line in found.stderr.splitlines()}
        assert [same(line) for line in shown if same(line) not in said] == [same(line) for line in found.stdout.splitlines()]

    def stop(self):
        self.program.signal(signal.SIGINT)
        assert self.program.wait(15) == 0, self.program.words()
        self.program.stop()


def same(line):
    """A line without what is different at every run."""
    line = re.sub(r"cutover-demo-\w+", "cutover-demo-…", line)
    line = re.sub(r"127\.0\.0\.1:\d+( +\d+ +\d+$)?", "127.0.0.1:…", line)
    line = re.sub(r"(up|applied|hash|connections +)(\s*)[0-9a-f]+", r"\1\2…", line)
    return " ".join(line.split())


def comes_to(browser, url, engine):
    """A browser whose place on the line leads it to an engine: a new one is on either with equal chances."""
    for _ in range(24):
        tab = browser().tab().visit(url)
        if tab.engine == engine:
            return tab
    raise AssertionError(f"none of 24 browsers came to {engine}")


def gives_name(tab):
    tab.fill(name="Ada Lovelace")
    assert tab.says("#demo-code").isdigit()


def gives_code(tab):
    tab.fill(code=tab.says("#demo-code"))


def is_signed_in(tab, engine):
    """At home, at an engine that knows the user; the page's script talks to the same."""
    assert (tab.path, tab.engine) == ("/", engine)
    assert "Signed in as Ada Lovelace" in tab.text
    tab.until(f"document.getElementById('socket').textContent == 'connected to {engine}'", "the WebSocket is of the page's engine")


def signs_out(tab):
    tab.click("form[action='/logout'] button")
    assert tab.path == "/signed-out" and "Your session here has ended" in tab.text
    assert "demo.sid" not in tab.browser.cookies()


SIGN_IN = {
    "classic": ["GET /login 200", "POST /login 303", "GET /mfa 200", "POST /mfa 302", "GET /verify/demo-org/authorize 302",
                "GET /authorization-code/callback 302", "GET / 200"],
    "identity": ["GET /login 302", "GET /login 200", "POST /login 302", "GET /challenge-authenticator/okta_email 200",
                 "POST /challenge-authenticator/okta_email 302", "GET /login/callback 302", "GET / 200"],
}  # fmt: skip


@pytest.mark.parametrize(("engine", "percent"), [("classic", 100), ("identity", 0)], ids=["raised", "lowered"])
def test_a_sign_in_ends_where_it_began_and_the_next_one_begins_at_the_other_engine(demo, browser, engine, percent):
    demo.set("sign-in", 50)
    tab = comes_to(browser, f"{demo.url}/login", engine)
    gives_name(tab)
    demo.set("sign-in", percent)
    gives_code(tab)
    is_signed_in(tab, engine)
    assert {"Stylesheet", "Image"} <= {loaded.kind for loaded in tab.journal if loaded.engine == engine}
    assert tab.told() == [f"{page} {engine}" for page in SIGN_IN[engine]]

    # The session stays, also in another tab.
    again = tab.browser.tab().visit(f"{demo.url}/")
    is_signed_in(again, engine)
    signs_out(tab)
    assert tab.told()[0] == f"POST /logout 302 {engine}"

    tab.visit(f"{demo.url}/login")
    gives_name(tab)
    gives_code(tab)
    is_signed_in(tab, OTHER[engine])
    assert tab.told() == [f"{page} {OTHER[engine]}" for page in SIGN_IN[OTHER[engine]]]
    again.visit(f"{demo.url}/")
    is_signed_in(again, OTHER[engine])
    again.check()


@pytest.mark.parametrize(("engine", "percent"), [("classic", 0), ("identity", 100)])
def test_a_registration_ends_where_it_began(demo, browser, engine, percent):
    demo.set("registration", percent)
    tab = browser().tab().visit(f"{demo.url}/register")
    gives_name(tab)
    demo.set("registration", 100 - percent)
    gives_code(tab)
    is_signed_in(tab, engine)
    assert {page.split()[-1] for page in tab.told()} == {engine}
    assert browser().tab().visit(f"{demo.url}/register").engine == OTHER[engine]


def test_the_link_of_identitys_mail_goes_on_in_a_new_tab(demo, browser):
    demo.set("recovery", 100)
    tab = browser().tab().visit(f"{demo.url}/recover-password")
    gives_name(tab)
    demo.set("recovery", 0)
    new = tab.browser.tab().visit(tab.script("document.querySelector('a#mail-link').href"))
    assert (new.path, new.engine) == ("/reset-password", "identity")
    new.fill(password="correct horse")
    is_signed_in(new, "identity")
    assert new.told() == [
        "GET /login/callback 302 identity",
        "GET /reset-password 200 identity",
        "POST /reset-password 302 identity",
        "GET / 200 identity",
    ]
    tab.check()


def test_the_link_of_identitys_mail_in_another_browser_sends_the_user_back_to_the_first(demo, browser):
    demo.set("recovery", 100)
    tab = browser().tab().visit(f"{demo.url}/recover-password")
    gives_name(tab)
    other = browser().tab().visit(tab.script("document.querySelector('a#mail-link').href"))
    assert "Enter the code in the original window" in other.text
    assert other.told() == ["GET /login/callback 200 identity"]
    demo.set("recovery", 0)
    tab.fill(code=other.says("#demo-code"))
    tab.fill(password="correct horse")
    is_signed_in(tab, "identity")
    assert {page.split()[-1] for page in tab.told()} == {"identity"}


def test_the_link_of_classics_mail_is_good_in_any_browser(demo, browser):
    demo.set("recovery", 0)
    tab = browser().tab().visit(f"{demo.url}/recover-password")
    tab.fill(name="Ada Lovelace")
    link = tab.script("document.querySelector('a#mail-link').href")
    demo.set("recovery", 100)
    other = browser().tab().visit(link)
    other.fill(password="correct horse")
    assert other.path == "/" and "Not signed in" in other.text
    path = link.removeprefix(demo.url)
    assert other.told()[:2] == [f"GET {path} 200 classic", f"POST {path} 302 classic"]
    tab.check()


def test_the_readmes_tour_can_be_followed_to_the_letter(fresh_demo, browser):
    demo = fresh_demo
    readme = Path(__file__).parent.parent.joinpath("README.md").read_text()
    tour = readme.split("## A tour of the demo")[1].split("\n## ")[0]
    _setting, users, why, widen, status, sign_in, decisions, broken = re.findall(r"^```\n(.*?)^```", tour, re.DOTALL | re.MULTILINE)
    tab = comes_to(browser, f"{demo.url}/", "classic")
    demo.follow(users)
    demo.follow(why)
    demo.follow(widen)
    demo.is_at("none", 60)
    demo.follow(users.replace("classic served user-6", "identity served user-6"))
    demo.follow(status)

    tab.script("document.querySelector('input[name=name]').value = 'user-7'")
    tab.click("form[action='/user'] button")
    assert "The cookie uid says user-7" in tab.text
    tab.visit(f"{demo.url}/login")
    gives_name(tab)
    demo.follow(sign_in)
    demo.is_at("sign-in", 100)
    gives_code(tab)
    is_signed_in(tab, "classic")
    signs_out(tab)
    tab.visit(f"{demo.url}/login")
    assert tab.engine == "identity"
    tab.check()
    eventually(lambda: demo.follow(decisions) or True, 5, "the decisions are counted")

    config = Path(demo.config)
    text = config.read_text()
    assert text.count("percent = 60") == 1
    config.write_text(text.replace("percent = 60", "percnt = 70"))
    shown = [same(line) for line in broken.splitlines()]

    def is_told():
        told = [same(line) for line in demo.program.words().splitlines()]
        ends = [at for at, line in enumerate(told) if line.endswith(shown[0])]
        return ends and told[ends[-1] + 1 : ends[-1] + len(shown)] == shown[1:]

    eventually(is_told, 5, broken)
    assert demo.metrics().value("cutover_config_last_reload_successful") == 0
    assert "unknown key `percnt`" in cutover("status", "--admin", demo.admin).stdout
    assert tab.visit(f"{demo.url}/login").engine == "identity"
