"""The real binary, its configuration file and its admin listener."""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from .pki import Authority, shown
from .processes import Program, free_port, run
from .waiting import eventually

BINARY = Path(os.environ["CUTOVER"])


def keygen():
    return run(BINARY, "keygen").stdout


def write_file(path, text):
    """As an editor does it: a whole new file under the old name."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    beside.replace(path)


class Proxy:
    """One app, `portal`, between two engines, unless a test writes its own text."""

    def __init__(self, folder, classic, identity, *, keys=("cookie:uid", "device"), percent=25, top="", listener="", app="", pools="",
                 tables="", key_file=None, token=None, tls=False):  # fmt: skip
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.admin_port = free_port(), free_port()
        self.classic, self.identity = as_urls(classic), as_urls(identity)
        self.keys, self.percent = keys, percent
        self.top, self.listener, self.app, self.pools, self.tables = top, listener, app, pools, tables
        # With `tls` whoever vouches for its certificate, else nobody.
        self.ca = None
        if tls:
            authority = Authority(self.folder / "pki")
            self.ca = authority.pem
            self.listener += "\n" + shown(authority.issue("localhost"))
        self.key_file = key_file or self.folder / "keys"
        if not self.key_file.exists():
            self.key_file.write_text(keygen())
            self.key_file.chmod(0o600)
        self.token = token
        if token:
            (self.folder / "admin.token").write_text(token)
        self.path = self.folder / "cutover.toml"
        self.program = None
        self.write(self.text())

    def text(self, percent=None, app=None, tables=None):
        """The whole file, with what a test wants to say differently."""
        return f"""# The file of an end-to-end test.
{self.top}
[[listeners]]
bind = "127.0.0.1:{self.port}"
{self.listener}
[admin]
bind = "127.0.0.1:{self.admin_port}"
{'token_file = "admin.token"' if self.token else ""}
[ticket]
key_file = "{self.key_file}"
[apps.portal]
keys = {json.dumps(list(self.keys))}
percent = {self.percent if percent is None else percent}   # how far we are
{self.app if app is None else app}
[apps.portal.classic]
endpoints = {json.dumps(self.classic)}
{self.pools}
[apps.portal.identity]
endpoints = {json.dumps(self.identity)}
{self.pools}
{self.tables if tables is None else tables}
"""

    def write(self, text):
        write_file(self.path, text)

    def start(self):
        assert self.program is None or not self.program.is_running()
        self.program = Program([BINARY, "run", "--config", self.path], self.folder / "log")

        def ready():
            assert self.program.is_running(), f"ended with {self.program.process.returncode}: {self.program.words()}"
            return self.admin("/readyz")[0] == 200

        eventually(ready, 15, "the proxy is ready")
        return self

    def stop(self):
        return self.program.stop() if self.program else None

    @property
    def url(self):
        return self.secure_url if self.ca else f"http://127.0.0.1:{self.port}"

    @property
    def secure_url(self):
        """By the name that certificates of tests are for."""
        return f"https://localhost:{self.port}"

    @property
    def address(self):
        """As openssl and metrics write it."""
        return f"127.0.0.1:{self.port}"

    @property
    def admin_url(self):
        return f"http://127.0.0.1:{self.admin_port}"

    def admin(self, path, method="GET", token=None):
        """Status and text of an answer of the admin listener."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.admin_url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def metrics(self):
        """Every sample as `Metrics`."""
        status, text = self.admin("/metrics")
        assert status == 200, text
        return Metrics(text)

    def generation(self):
        return self.metrics().value("cutover_config_generation")

    def edit(self, text, within=2.0):
        """Writes a good edit and waits until it is applied."""
        before = self.generation()
        self.write(text)
        eventually(lambda: self.generation() > before, within, f"a generation after {before}")


class Metrics:
    """One scrape."""

    def __init__(self, text):
        self.text = text
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def value(self, name, **labels):
        """The sum of all samples of a name that carry these labels; `KeyError` when there is none."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == name and all(sample.labels.get(key) == value for key, value in labels.items())
        ]
        if not found:
            raise KeyError(f"{name}{labels}")
        return sum(found)

    def count(self, name, **labels):
        """Like `value`, and 0 for what was never counted."""
        try:
            return self.value(name, **labels)
        except KeyError:
            return 0


def as_urls(endpoints):
    endpoints = endpoints if isinstance(endpoints, (list, tuple)) else [endpoints]
    return [endpoint if isinstance(endpoint, str) else endpoint.url for endpoint in endpoints]
