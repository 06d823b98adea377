"""Certificates as an operator would make them, with openssl: an authority, what it signs, and what it says of that."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from .processes import run

# Of openssl's own defaults none is wanted: they would make every certificate an authority.
CONFIG = "[req]\ndistinguished_name = subject\n[subject]\n"
KINDS = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"]}


@dataclass
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates, and answers whether they are good."""

    def __init__(self, folder, name="End-to-End Authority"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "openssl.cnf"
        self.config.write_text(CONFIG)
        self.numbers = itertools.count(1)
        self.pair = self._request("ca", f"/CN={name}", "ecdsa", ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"])

    @property
    def pem(self):
        return self.pair.cert

    def issue(self, *hosts, kind="ecdsa", ocsp_uri=None):
        """A server's certificate for these names."""
        extensions = ["subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts), "extendedKeyUsage=serverAuth"]
        if ocsp_uri:
            extensions.append(f"authorityInfoAccess=OCSP;URI:{ocsp_uri}")
        return self._signed(f"/CN={hosts[0].replace('*', 'any')}", kind, extensions)

    def client(self, common_name, *alternatives):
        """A client's certificate; alternatives as openssl writes them, such as `email:ada@example.com`."""
        names = ["subjectAltName=" + ",".join(alternatives)] if alternatives else []
        return self._signed(f"/CN={common_name}", "ecdsa", [*names, "extendedKeyUsage=clientAuth"])

    def ocsp(self, pair):
        """The file of a response that says: good. Made as a responder makes it, from the authority's index of what it signed."""
        serial, until = (
            run("openssl", "x509", "-in", pair.cert, "-noout", flag).stdout.strip().split("=")[1] for flag in ("-serial", "-enddate")
        )
        month, day, clock, year, _ = until.split()
        months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
        ends = f"{year[2:]}{months.index(month) + 1:02}{int(day):02}{clock.replace(':', '')}Z"
        index, request, response = (pair.cert.with_suffix(suffix) for suffix in (".index", ".ocsp-request", ".ocsp"))
        index.write_text(f"V\t{ends}\t\t{serial}\tunknown\t/CN=whoever\n")
        ca, key = self.pair.cert, self.pair.key
        run("openssl", "ocsp", "-issuer", ca, "-cert", pair.cert, "-no_nonce", "-reqout", request)
        run("openssl", "ocsp", "-index", index, "-CA", ca, "-rsigner", ca, "-rkey", key, "-reqin", request, "-respout", response, "-ndays", 7)
        return response

    def _signed(self, subject, kind, extensions):
        by_us = ["-CA", self.pair.cert, "-CAkey", self.pair.key]
        return self._request(f"{next(self.numbers)}", subject, kind, ["basicConstraints=CA:FALSE", *extensions], by_us)

    def _request(self, name, subject, kind, extensions, signer=()):
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        added = [word for extension in extensions for word in ("-addext", extension)]
        run("openssl", "req", "-x509", "-config", self.config, "-newkey", *KINDS[kind], "-nodes", "-days", 90, "-subj", subject,
            *added, *signer, "-keyout", pair.key, "-out", pair.cert)  # fmt: skip
        return pair


def shown(*pairs, ocsp=None, client_ca=None):
    """The lines of a listener that shows these, the first of them with its staple."""
    entries = [f'{{ cert = "{pair.cert}", key = "{pair.key}" }}' for pair in pairs]
    if ocsp:
        entries[0] = entries[0].replace(" }", f', ocsp = "{ocsp}" }}')
    lines = [f"tls.certificates = [{', '.join(entries)}]"]
    if client_ca:
        lines.append(f'tls.client_ca = "{client_ca}"')
    return "\n".join(lines)
