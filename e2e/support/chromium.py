"""Debian's Chromium without a window, over the DevTools protocol: no driver program and no download of a browser.

One connection, read by whoever waits for something: every wait is for an event or an answer, with a deadline. A
`Browser` has cookies of its own, as a private window has; a `Tab` keeps a journal of all that it asked for.
"""

import json
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from websockets.sync.client import connect

from .processes import Program, program
from .waiting import eventually

PATIENCE = 15


class Chromium:
    """The program, perhaps with flags of a test's own. Ends with `stop`."""

    def __init__(self, folder, *more):
        profile = folder / "profile"
        flags = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run", "--window-size=1000,800",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
                 f"--user-data-dir={profile}", "--remote-debugging-port=0"]  # fmt: skip
        # Its sandbox does not work for root.
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.program = Program([program("chromium"), *flags, *root, *more, "about:blank"], folder / "log")
        told = profile / "DevToolsActivePort"

        def address():
            assert self.program.is_running(), self.program.words()
            port, path = told.read_text().split()
            return f"ws://127.0.0.1:{port}{path}"

        self.open = ExitStack()
        there = eventually(address, 30, "Chromium listens")
        self.socket = self.open.enter_context(connect(there, max_size=None, compression=None, proxy=None))
        self.tabs, self.last = {}, 0

    def stop(self):
        self.open.close()
        self.program.stop(3)

    def ask(self, method, session=None, **parameters):
        """Sends a command and waits for its answer."""
        self.last += 1
        number, answers = self.last, []
        command = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        self.socket.send(json.dumps(command))
        self.wait(lambda: answers, method, lambda message: answers.append(message) if message.get("id") == number else None)
        assert "error" not in answers[0], f"{method} {parameters}: {answers[0]}"
        return answers[0]["result"]

    def wait(self, check, what, look=lambda message: None):
        """Reads messages until something is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := check()):
            try:
                message = json.loads(self.socket.recv(timeout=max(deadline - time.monotonic(), 0)))
            except TimeoutError as late:
                raise AssertionError(f"not within {PATIENCE} s: {what}") from late
            if tab := self.tabs.get(message.get("sessionId")):
                tab.take(message)
            look(message)
        return found

    def browser(self):
        return Browser(self)


class Browser:
    """Cookies and a cache of its own."""

    def __init__(self, chromium):
        self.chromium = chromium
        self.context = chromium.ask("Target.createBrowserContext")["browserContextId"]

    def tab(self):
        return Tab(self)

    def jar(self):
        """Every cookie by its name, with all that the browser keeps of it."""
        found = self.chromium.ask("Storage.getCookies", browserContextId=self.context)["cookies"]
        return {cookie["name"]: cookie for cookie in found}

    def cookies(self):
        return {name: cookie["value"] for name, cookie in self.jar().items()}

    def close(self):
        self.chromium.ask("Target.disposeBrowserContext", browserContextId=self.context)


@dataclass
class Loaded:
    """One answer that a tab got."""

    method: str
    url: str
    kind: str  # Document, Stylesheet, Image, …
    document: str  # of which load of a page it is a part
    status: int = 0
    headers: dict = field(default_factory=dict)
    failed: str = ""
    is_over: bool = False

    @property
    def path(self):
        return "/" + self.url.split("/", 3)[3].split("?")[0]

    @property
    def engine(self):
        return self.headers.get("demo-engine")

    def __str__(self):
        return f"{self.method} {self.path} {self.failed or self.status} {self.engine}"


class Tab:
    def __init__(self, browser):
        self.browser, self.chromium = browser, browser.chromium
        self.journal, self.open, self.page, self.loads = [], {}, None, 0
        target = self.chromium.ask("Target.createTarget", url="about:blank", browserContextId=browser.context, newWindow=True)["targetId"]
        self.session = self.chromium.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.chromium.tabs[self.session] = self
        for domain in ("Page", "Network", "Runtime"):
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        return self.chromium.ask(method, self.session, **parameters)

    def take(self, message):
        """Notes what an event says."""
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                if before := told.get("redirectResponse"):
                    self._answered(told["requestId"], before)
                request = told["request"]
                loaded = Loaded(request["method"], request["url"], told.get("type", "Other"), told["loaderId"])
                self.open[told["requestId"]] = loaded
                self.journal.append(loaded)
            case "Network.responseReceived":
                self._answered(told["requestId"], told["response"])
            case "Network.loadingFinished":
                self._over(told)
            case "Network.loadingFailed":
                # Whoever leaves a page calls off what that has not loaded yet.
                self._over(told, "" if told.get("canceled") else told["errorText"])
            case "Page.loadEventFired":
                self.loads += 1

    def _answered(self, number, response):
        if loaded := self.open.get(number):
            loaded.status = response["status"]
            loaded.headers = {name.lower(): value for name, value in response["headers"].items()}
            if loaded.kind == "Document":
                self.page = loaded

    def _over(self, told, failed=""):
        if loaded := self.open.get(told["requestId"]):
            loaded.is_over, loaded.failed = True, failed

    def _leads(self, act, what):
        """Does something, and waits until the page that it leads to has loaded."""
        loads = self.loads
        act()
        self.chromium.wait(lambda: self.loads > loads, f"{what} leads to a page")
        return self

    def visit(self, url):
        """As typed, or opened by another program: no page refers to it."""

        def go():
            answer = self.ask("Page.navigate", url=url)
            assert not answer.get("errorText"), f"{url}: {answer['errorText']}"

        return self._leads(go, url)

    def click(self, selector):
        return self._leads(lambda: self.script(f"({ELEMENT})({json.dumps(selector)}).click()"), selector)

    def fill(self, **fields):
        """Types into the fields of the form, and sends it by its button."""
        for name, text in fields.items():
            self.script(f"({ELEMENT})('input[name={name}]').focus()")
            self.ask("Input.insertText", text=text)
            assert self.script(f"({ELEMENT})('input[name={name}]').value") == text
        return self.click("main form button")

    def script(self, expression):
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']} at {self.url}: {self.text}"
        return answer["result"].get("value")

    def until(self, expression, what):
        """Waits for something on the page that no event tells of."""
        return eventually(lambda: self.script(expression), PATIENCE, what)

    @property
    def url(self):
        return self.script("location.href")

    @property
    def path(self):
        return self.script("location.pathname")

    @property
    def text(self):
        return self.script("document.body.innerText")

    def says(self, selector):
        return self.script(f"({ELEMENT})({json.dumps(selector)}).textContent").strip()

    @property
    def engine(self):
        """Who served the page that is shown."""
        return self.page.engine

    def pages(self):
        return [loaded for loaded in self.journal if loaded.kind == "Document"]

    def told(self):
        """The pages since it was asked last, redirects too, as words; what they are made of has been checked."""
        self.check()
        words = [str(loaded) for loaded in self.pages()]
        self.journal.clear()
        return words

    def check(self):
        """No request failed, and whatever a page is made of came from the engine of the page."""
        shown = {page.document: page for page in self.pages()}
        def is_settled(loaded):
            # Of what a page still loads when it is left, Chromium does not always tell the end.
            return loaded.is_over or 300 <= loaded.status < 400 or loaded.document != self.page.document

        self.chromium.wait(lambda: all(map(is_settled, self.journal)), "all is loaded")
        for loaded in self.journal:
            if not loaded.status and not loaded.failed:
                continue
            assert not loaded.failed and 200 <= loaded.status < 400, f"{loaded} of {[str(each) for each in self.journal]}"
            page = shown.get(loaded.document)
            assert loaded.kind == "Document" or page is None or loaded.engine == page.engine, f"{loaded} on {page}"

    def screenshot(self, path):
        import base64

        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))


ELEMENT = """selector => document.querySelector(selector) ?? (() => { throw new Error('no ' + selector) })()"""
