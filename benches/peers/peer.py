"""What every proxy that is compared has in common, and what it is asked to speak."""

import subprocess
from dataclasses import dataclass

import machine

CLASSIC, IDENTITY = "classic", "identity"


@dataclass(frozen=True)
class Edge:
    """What clients speak to a proxy."""

    is_tls: bool = False
    # Over TLS: offered beside HTTP/1.1. In plain: with prior knowledge.
    is_http2: bool = False

    @property
    def scheme(self):
        return "https" if self.is_tls else "http"


class Peer:
    """One proxy in a folder of its own. `public` is the folder with the certificate, if there is one."""

    name = ""

    def __init__(self, folder, engines, options, edge=Edge(), public=None):
        self.folder, self.engines, self.options, self.edge, self.public = folder, engines, options, edge, public
        self.port = machine.free_port()
        self.process = None
        folder.mkdir(parents=True)

    @property
    def url(self):
        return f"{self.edge.scheme}://127.0.0.1:{self.port}/"

    @property
    def load_url(self):
        """Where load goes, where that is another port."""
        return self.url

    def start(self, core, percent=25):
        """How long it took until it answered."""
        self.write(percent)
        self.process = machine.Process(self.command(), core, self.folder / "log")
        return machine.wait_for(self.url, self.process)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def replace(self, path, text):
        """As an editor does it: a whole new file under the old name."""
        beside = path.with_name(path.name + ".new")
        beside.write_text(text)
        beside.replace(path)

    def write(self, percent):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def reload(self):
        raise NotImplementedError

    @classmethod
    def version(cls, options):
        raise NotImplementedError


def make_certificate(folder):
    """`portal.pem` and `portal.key`, ECDSA P-256, and both in `both.pem`, as HAProxy wants them."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "portal.key", "-out", "portal.pem"],
        cwd=folder, stdin=subprocess.DEVNULL, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "both.pem").write_text((folder / "portal.pem").read_text() + (folder / "portal.key").read_text())
    return folder
