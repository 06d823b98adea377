"""The proxies that are compared, each configured as its own documentation would have it done.

A peer is a class: `write` puts its configuration for a percentage into its folder, `command` starts it,
`reload` makes a running one take what `write` wrote. A new peer is a new class in `ALL`.
"""

from envoy import Envoy
from haproxy import Haproxy
from nginx import Nginx
from ours import Baseline, Cutover

ALL = {peer.name: peer for peer in (Cutover, Baseline, Nginx, Haproxy, Envoy)}
