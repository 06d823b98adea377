"""What is measured per request: one row of the table in README.md each."""

from dataclasses import dataclass, field

from engines import LARGE
from load import Ab, H2load, Load, Wrk
from peer import Edge

MIB = LARGE >> 20


@dataclass(frozen=True)
class Row:
    what: str
    connections: int = 64
    edge: Edge = Edge()
    generator: type[Load] = Wrk
    how: dict = field(default_factory=dict)


# By the option that asks for it.
ROWS = {
    "keep-alive": Row("request, h1 keep-alive"),
    "new-connections": Row("request, h1, each over a new connection", how={"keep_alive": False}),
    "large": Row(f"answer of {MIB} MiB, h1 keep-alive", 8, how={"path": "/large"}),
    "uploads": Row(f"upload of {MIB} MiB, h1 keep-alive", 8, how={"path": "/upload", "upload": LARGE}),
    "tls": Row("request, h1 keep-alive over TLS", edge=Edge(is_tls=True)),
    "h2": Row("request, h2 with prior knowledge, 16 streams at a time", 8, Edge(is_http2=True), H2load),
    "h2-tls": Row("request, h2 over TLS, 16 streams at a time", 8, Edge(is_tls=True, is_http2=True), H2load),
    "handshakes": Row("full handshake (ECDSA P-256) with one request, h1", edge=Edge(is_tls=True), generator=Ab),
}
