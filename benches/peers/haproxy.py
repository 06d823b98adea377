"""HAProxy."""

import signal
import subprocess

from nginx import NOFILE
from peer import CLASSIC, IDENTITY, Peer


class Haproxy(Peer):
    """A hash of the cookie chooses the backend; one thread; connections to the engines are shared."""

    name = "haproxy"

    def bind(self):
        if not self.edge.is_tls:
            # A plain port speaks both: it looks for the preface of HTTP/2.
            return f"bind 127.0.0.1:{self.port} backlog 4096"
        alpn = "h2,http/1.1" if self.edge.is_http2 else "http/1.1"
        return f"bind 127.0.0.1:{self.port} backlog 4096 ssl crt {self.public}/both.pem alpn {alpn}"

    def write(self, percent):
        backends = "".join(
            f"\nbackend {name}\n  server one 127.0.0.1:{port}\n" for name, port in self.engines.ports.items()
        )
        self.config = self.folder / "haproxy.cfg"
        self.replace(
            self.config,
            f"""global
  nbthread 1
  maxconn {min(NOFILE // 3, 8000)}
defaults
  mode http
  timeout connect 3s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  timeout http-request 10s
  option forwardfor
  http-reuse always
  option idle-close-on-response
frontend public
  {self.bind()}
  http-request set-header X-Forwarded-Proto {self.edge.scheme}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  use_backend {IDENTITY} if {{ req.cook(uid),xxh32,mod(100) lt {percent} }}
  default_backend {CLASSIC}
{backends}""",
        )

    def command(self):
        # With a master process, a reload hands the listening sockets over.
        return ["haproxy", "-W", "-f", self.config]

    def reload(self):
        self.process.signal(signal.SIGUSR2)

    @classmethod
    def version(cls, options):
        found = subprocess.run(["haproxy", "-v"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return found.stdout.split()[2].partition("-")[0]
