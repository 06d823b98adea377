"""The measurements: the peers in turn, what each costs, and tables of it."""

import datetime
import statistics
import sys
import time

import idle
import machine
import peers
from engines import Engines
from load import NO_TICKET, USERS, Wrk, signed
from peer import CLASSIC, IDENTITY, Edge, make_certificate

PROXY_CORE, LOAD_CORE = 0, 1


class Bench:
    """The engines, the peers, and what was found out about them."""

    def __init__(self, options, folder, stack):
        self.options, self.folder, self.stack = options, folder, stack
        self.engines = Engines(folder / "engines", LOAD_CORE)
        stack.callback(self.engines.process.stop)
        self.public = make_certificate(folder)
        self.report = {
            "date": datetime.date.today().isoformat(),
            "machine": machine.describe(),
            "versions": {name: peers.ALL[name].version(options) for name in options.peers},
        }

    def start(self, name, **more):
        folder = self.folder / f"{name}-{time.monotonic_ns()}"
        peer = peers.ALL[name](folder, self.engines, self.options, public=self.public, **more)
        self.stack.callback(peer.stop)
        peer.ready_after = peer.start(PROXY_CORE)
        return peer

    def load(self, running, generator=Wrk, connections=64, flows=None, **how):
        """With the users' Cookie lines, and real tickets where Cutover is there to sign them."""
        tickets = [NO_TICKET] * USERS
        name = "cutover"
        if cutover := running.get("cutover"):
            name = "__Host-cutover" if cutover.edge.is_tls else "cutover"
            tickets = signed(cutover.url, name)
        cookies = [f"uid=user-{number}; {name}={ticket}" for number, ticket in enumerate(tickets)]
        if flows:
            cookies = [f"{cookie}; cutover-flow={flow}" for cookie, flow in zip(cookies, flows)]
        return generator(self.folder, LOAD_CORE, self.options.connections or connections, cookies, **how)

    def measure_once(self, peer, load):
        """CPU time of the proxy over what the generator counted."""
        load.run(peer.load_url, 1)  # connections to the engines, caches, branch predictors
        before = peer.process.cpu_seconds()
        found = load.run(peer.load_url, self.options.seconds)
        found["cpu_us"] = (peer.process.cpu_seconds() - before) / found["requests"] * 1e6
        found["rate"] = found["requests"] / found["seconds"]
        return found

    def rounds(self, running, loads):
        """Every round measures every peer, each time beginning with another, so that drift hits all alike."""
        found = {name: [] for name in running}
        names = list(running)
        for number in range(self.options.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                found[name].append(self.measure_once(running[name], loads[name]))
                print(f"  round {number + 1}: {name:<16} {found[name][-1]['cpu_us']:6.2f} µs", file=sys.stderr)
        self.report["rounds"] = found
        return found

    def measure_requests(self, row):
        running = {name: self.start(name, edge=row.edge) for name in self.options.peers}
        load = self.load(running, row.generator, row.connections, **row.how)
        found = self.rounds(running, dict.fromkeys(running, load))
        print(f"CPU per {row.what}, {load.connections} connections, "
              f"median of {self.options.rounds} × {self.options.seconds} s\n")  # fmt: skip
        middle = {name: medians(rounds) for name, rounds in found.items()}
        for name, rounds in found.items() if "cutover" in found else ():
            # Within a round the peers ran one after the other: their ratio is steadier than their medians.
            pairs = zip(found["cutover"], rounds)
            middle[name]["ratio"] = statistics.median(own["cpu_us"] / peer["cpu_us"] for own, peer in pairs)
        print_table(
            ["peer", "CPU µs", "least", "most", "ratio", "rate/s", "p50 µs", "p99 µs", "failed"],
            [
                [name, f"{row['cpu_us']:.2f}", f"{min(each['cpu_us'] for each in found[name]):.2f}",
                 f"{max(each['cpu_us'] for each in found[name]):.2f}", f"{row['ratio']:.2f}" if "ratio" in row else "–",
                 f"{row['rate']:.0f}", *(f"{row[key]:.0f}" if key in row else "–" for key in ("p50_us", "p99_us")),
                 sum(each["failed"] for each in found[name])]
                for name, row in middle.items()
            ],
        )  # fmt: skip
        print("\nratio: Cutover's CPU over the peer's, median over rounds; below 1 Cutover is cheaper")
        self.report["medians"] = middle

    def measure_idle_memory(self):
        is_h2 = bool(self.options.idle_h2)
        count = self.options.idle_h2 or self.options.idle
        what, edge, open_many = "h1", Edge(), idle.over_h1
        if is_h2:
            what, edge, open_many = "h2 over TLS", Edge(is_tls=True, is_http2=True), idle.over_h2
        rows = []
        for name in self.options.peers:
            peer = self.start(name, edge=edge)
            for connection in open_many(peer.port, 50):
                connection.close()
            before = peer.process.resident_bytes()
            opened = open_many(peer.port, count)
            time.sleep(1)  # not for an event: some give buffers back a moment later
            per_connection = (peer.process.resident_bytes() - before) / count
            for connection in opened:
                connection.close()
            peer.stop()
            rows.append([name, f"{before / 2**20:.1f}", f"{per_connection / 1024:.1f}"])
            self.report.setdefault("idle_bytes", {})[name] = per_connection
        print(f"memory of {count} idle connections, {what}, that made one request each\n")
        print_table(["peer", "MiB before", "KiB each"], rows)

    def measure_reloads(self, reloads=20, seconds=12):
        rows = []
        for name in self.options.peers:
            peer = self.start(name)
            load = self.load({name: peer})
            load.run(peer.url, 1)
            wrk = load.start(peer.url, seconds)
            self.stack.callback(wrk.kill)
            begin = time.monotonic()
            for number in range(reloads):
                # Evenly over the run, with a margin at both ends.
                time.sleep(max(0, begin + 1 + number * (seconds - 2) / reloads - time.monotonic()))
                peer.write(30 + number)
                peer.reload()
            found = load.result(wrk)
            peer.stop()
            rows.append([name, found["requests"], *(found[kind] for kind in ("connect", "read", "write", "timeout", "status")),
                         found["failed"], f"{found['p99_us']:.0f}"])  # fmt: skip
            self.report.setdefault("reloads", {})[name] = found
        print(f"{reloads} reloads under {load.connections} keep-alive connections\n")
        print_table(["peer", "requests", "connect", "read", "write", "timeout", "status", "failed", "p99 µs"], rows)

    def measure_subjects(self, lines=1_000_000):
        path = self.folder / "subjects.txt"
        with path.open("w") as output:
            output.writelines(f"subject-{number}@example.com\n" for number in range(lines))
        running = {"without": self.start("cutover"), "million": self.start("cutover", subjects_file=path)}
        load = self.load({"cutover": running["without"]})
        found = self.rounds(running, dict.fromkeys(running, load))
        memory = {name: peer.process.resident_bytes() for name, peer in running.items()}
        peak = {name: peer.process.peak_bytes() for name, peer in running.items()}
        print(f"a subjects_file of {lines} lines\n")
        rows = [
            [name, f"{running[name].ready_after:.2f}", f"{memory[name] / 2**20:.1f}", f"{peak[name] / 2**20:.1f}",
             f"{medians(found[name])['cpu_us']:.2f}", sum(each["failed"] for each in found[name])]
            for name in running
        ]  # fmt: skip
        print_table(["run", "ready s", "MiB", "peak MiB", "CPU µs", "failed"], rows)
        self.report["subjects"] = {
            name: {"ready_s": running[name].ready_after, "resident": memory[name], "peak": peak[name], "rounds": found[name]}
            for name in running
        }

    def measure_workflows(self):
        """A page and a step of a flow that a pin holds, each beside the same request to a proxy without workflows."""
        without, preset = self.start("cutover"), self.start("cutover", preset="okta")
        # The answer to the first step says that the flow is counted; from then on it is only used.
        begun = signed(f"{preset.url}login", "cutover-flow")
        flows = signed(f"{preset.url}select-step", "cutover-flow", [f"cutover-flow={flow}" for flow in begun])
        # One key for all: tickets that the one signed are the other's.
        page = self.load({"cutover": without}, path="/account/settings")
        step = self.load({"cutover": without}, flows=flows, path="/challenge-authenticator/okta_email")
        running = {"page, no workflows": without, "page": preset, "step, no workflows": without, "step": preset}
        found = self.rounds(running, dict(zip(running, (page, page, step, step))))
        rows = []
        for name in running:
            base = found[name if name.endswith("no workflows") else f"{name}, no workflows"]
            more = statistics.median(each["cpu_us"] - least["cpu_us"] for each, least in zip(found[name], base))
            rows.append([name, f"{medians(found[name])['cpu_us']:.2f}", f"{more:+.2f}", sum(each["failed"] for each in found[name])])
        print(f"the Okta preset and flow pins, median of {self.options.rounds} × {self.options.seconds} s\n")
        print_table(["request", "CPU µs", "more", "failed"], rows)
        self.report["workflows"] = found

    def measure_many_apps(self):
        """From the rename of the edited file to the new generation, seen over the admin API."""
        peer = self.start("cutover")
        ports = self.engines.ports
        apps = "".join(
            f"""
[apps.app-{number}]
hosts = ["app-{number}.example.com"]
percent = PERCENT
classic = {{ endpoints = ["http://127.0.0.1:{ports[CLASSIC]}"] }}
identity = {{ endpoints = ["http://127.0.0.1:{ports[IDENTITY]}"] }}
"""
            for number in range(self.options.apps)
        )
        peer.write(25)
        base = peer.config.read_text()
        taken = []
        for number in range(self.options.rounds + 1):
            generation = peer.metric("cutover_config_generation")
            begin = time.monotonic()
            peer.replace(peer.config, base + apps.replace("PERCENT", str(10 + number)))
            while peer.metric("cutover_config_generation") == generation:
                if time.monotonic() - begin > 30:
                    raise SystemExit(f"no new generation after 30 s:\n{peer.process.last_words()}")
                time.sleep(0.005)
            taken.append(time.monotonic() - begin)
        self.report["apps_reload_s"] = taken
        print(f"reload of {self.options.apps} apps, from the rename to the new generation\n")
        print_table(
            ["", "ms"],
            [["the first, which adds them", f"{taken[0] * 1e3:.0f}"],
             ["median of the others", f"{statistics.median(taken[1:]) * 1e3:.0f}"]],
        )  # fmt: skip


def medians(rounds):
    return {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}


def print_table(heads, rows):
    cells = [heads, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        first, *others = (cell.ljust(width) if not column else cell.rjust(width)
                          for column, (cell, width) in enumerate(zip(row, widths)))  # fmt: skip
        print("  ".join([first, *others]))
