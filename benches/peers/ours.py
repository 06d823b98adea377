"""Cutover, and another build of it."""

import os
import re
import subprocess
import urllib.parse

import machine
from peer import CLASSIC, IDENTITY, Peer


class Cutover(Peer):
    """Everything that is on in production but the access log: tickets, targets, metrics."""

    name = "cutover"

    def __init__(self, folder, engines, options, subjects_file=None, preset=None, **edge):
        super().__init__(folder, engines, options, **edge)
        self.subjects_file, self.preset = subjects_file, preset
        self.admin_port = machine.free_port()
        # One key for all of a run: every Cutover in it verifies the same users' tickets.
        self.key_file = folder.parent / "keys"
        if not self.key_file.exists():
            key = subprocess.run([self.binary(options), "keygen"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
            self.key_file.write_text(key.stdout)
            os.chmod(self.key_file, 0o600)

    @staticmethod
    def binary(options):
        return options.cutover

    def write(self, percent):
        tls = million = ""
        if self.edge.is_tls:
            tls = f"""
tls.certificates = [{{ cert = "{self.public}/portal.pem", key = "{self.public}/portal.key" }}]"""
        if self.subjects_file:
            million = f"""
[[apps.portal.targets]]
name = "million"
engine = "identity"
subjects_file = "{self.subjects_file}"
claimed = true
"""
        self.config = self.folder / "cutover.toml"
        self.replace(
            self.config,
            f"""workers = 1
[[listeners]]
bind = "127.0.0.1:{self.port}"{tls}
[admin]
bind = "127.0.0.1:{self.admin_port}"
[limits]
idle_timeout = "300s"
[ticket]
key_file = "{self.key_file}"
[log]
level = "warn"
access = false
[apps.portal]
keys = ["cookie:uid", "device"]
percent = {percent}
{f'preset = "{self.preset}"' if self.preset else ""}
[[apps.portal.targets]]
name = "staff"
engine = "identity"
subjects = ["ada@example.com", "bob@example.com", "eve@example.com"]
claimed = true
[[apps.portal.targets]]
name = "lab"
engine = "identity"
header = {{ name = "x-lab", value = "1" }}
{million}
[apps.portal.classic]
endpoints = ["http://127.0.0.1:{self.engines.ports[CLASSIC]}"]
[apps.portal.identity]
endpoints = ["http://127.0.0.1:{self.engines.ports[IDENTITY]}"]
""",
        )

    def command(self):
        return [self.binary(self.options), "run", "--config", self.config]

    def reload(self):
        """It watches the file."""

    def metric(self, name):
        """The value of a metric without labels."""
        _, _, body = machine.get(urllib.parse.urljoin(f"http://127.0.0.1:{self.admin_port}/", "metrics"), timeout=10)
        return float(re.search(rf"^{name} (\S+)$", body.decode(), re.MULTILINE)[1])

    @classmethod
    def version(cls, options):
        found = subprocess.run([cls.binary(options), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return found.stdout.split()[-1] if found.stdout else "?"


class Baseline(Cutover):
    """Another build of Cutover, to see what a change costs."""

    name = "baseline"

    @staticmethod
    def binary(options):
        return options.baseline
