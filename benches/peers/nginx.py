"""nginx, as a peer and as the engines."""

import signal
import subprocess

import machine
from peer import CLASSIC, IDENTITY, Peer

NOFILE = machine.raise_file_limit()


def nginx_head(folder):
    """What an nginx needs to live in a folder of its own; the limits on keep-alive are lifted."""
    temporary = "".join(
        f"\n  {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""daemon off;
worker_processes 1;
worker_rlimit_nofile {NOFILE};
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 16384; }}
http {{{temporary}
  access_log off;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  tcp_nodelay on;"""


def nginx_command(config):
    return ["nginx", "-e", config.parent / "error.log", "-p", config.parent, "-c", config]


class Nginx(Peer):
    """`split_clients` on the cookie, upstream keep-alive, forwarded headers overwritten, bodies passed as they come."""

    name = "nginx"

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.prior_knowledge_port = machine.free_port()

    @property
    def load_url(self):
        # Before 1.25 a plain port speaks one or the other.
        is_other = self.edge.is_http2 and not self.edge.is_tls
        return f"http://127.0.0.1:{self.prior_knowledge_port}/" if is_other else self.url

    def listen(self):
        if not self.edge.is_tls:
            return f"""
    listen 127.0.0.1:{self.port} backlog=4096;
    listen 127.0.0.1:{self.prior_knowledge_port} http2 backlog=4096;"""
        return f"""
    listen 127.0.0.1:{self.port} ssl {"http2 " if self.edge.is_http2 else ""}backlog=4096;
    ssl_certificate {self.public}/portal.pem;
    ssl_certificate_key {self.public}/portal.key;
    ssl_protocols TLSv1.2 TLSv1.3;"""

    def write(self, percent):
        upstreams = "".join(
            f"""
  upstream {name} {{
    server 127.0.0.1:{port};
    keepalive 64;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
  }}"""
            for name, port in self.engines.ports.items()
        )
        self.config = self.folder / "nginx.conf"
        self.replace(
            self.config,
            f"""{nginx_head(self.folder)}
  split_clients $cookie_uid $engine {{
    {percent}% {IDENTITY};
    * {CLASSIC};
  }}{upstreams}
  server {{{self.listen()}
    client_max_body_size 0;
    location / {{
      proxy_pass http://$engine;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_request_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
    }}
  }}
}}
""",
        )

    def command(self):
        return nginx_command(self.config)

    def reload(self):
        self.process.signal(signal.SIGHUP)

    @classmethod
    def version(cls, options):
        found = subprocess.run(["nginx", "-v"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return found.stderr.strip().rpartition("/")[2]
