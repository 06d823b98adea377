"""What asks: wrk with a thousand users, and connections that only sit there."""

import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import machine

USERS = 1000
# As long as a real ticket (49 bytes in base64url), for runs without Cutover: all peers read equally long lines.
NO_TICKET = "A" * 66

# Requests are made once and handed out in turn, so that wrk's own cost stays small.
SCRIPT = """\
local requests, turn = {}, 0

function init(arguments)
  for cookie in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format("GET", arguments[2], { ["Cookie"] = cookie, ["Connection"] = arguments[3] })
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
"""


def signed(url, name="cutover", brought=None):
    """One signed cookie per user, as the proxy gives it to a user's page load who brings this much."""

    def cookie(number):
        more = f"; {brought[number]}" if brought else ""
        headers = {"Accept": "text/html", "Cookie": f"uid=user-{number}{more}"}
        status, answer, _ = machine.get(url, headers, timeout=10)
        for line in answer.get_all("Set-Cookie") or []:
            found, _, value = line.split(";")[0].partition("=")
            if found == name:
                return value
        raise SystemExit(f"no {name} for user-{number}: {status} from {url}")

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(cookie, range(USERS)))



class Load:
    """wrk on its core, with the Cookie lines of all users."""

    def __init__(self, folder, core, connections, user_tickets=None, user_flows=None, path="/", keep_alive=True):
        self.core, self.connections, self.path, self.keep_alive = core, connections, path, keep_alive
        self.script = folder / "load.lua"
        self.script.write_text(SCRIPT)
        self.cookies = folder / ("flows.txt" if user_flows else "cookies.txt")
        user_tickets = user_tickets or [NO_TICKET] * USERS
        lines = [f"uid=user-{number}; cutover={ticket}" for number, ticket in enumerate(user_tickets)]
        if user_flows:
            lines = [f"{line}; cutover-flow={flow}" for line, flow in zip(lines, user_flows)]
        self.cookies.write_text("".join(f"{line}\n" for line in lines))

    def start(self, url, seconds):
        """`taskset`: wrk makes its thread before anyone could pin it."""
        return subprocess.Popen(
            ["taskset", "-c", str(self.core), "wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout=5s",
             "-s", str(self.script), url, "--", str(self.cookies), self.path, *(() if self.keep_alive else ("close",))],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    @staticmethod
    def result(wrk):
        output, _ = wrk.communicate()
        for line in output.splitlines():
            if line.startswith("RESULT "):
                found = json.loads(line.removeprefix("RESULT "))
                found["failed"] = sum(found[kind] for kind in ("connect", "read", "write", "timeout", "status"))
                return found
        raise SystemExit(f"wrk gave no result:\n{output}")

    def run(self, url, seconds):
        wrk = self.start(url, seconds)
        try:
            return self.result(wrk)
        finally:
            wrk.kill()


def idle_connections(port, count):
    """Keep-alive connections that made one request each; the caller closes them."""
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: uid=user-%d\r\n\r\n"
    opened = []
    for number in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        opened.append(connection)
        connection.sendall(request % number)
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = connection.recv(4096)
            if not part:
                raise SystemExit(f"connection {number} was closed instead of answered")
            answer += part
        head, body = answer.split(b"\r\n\r\n", 1)
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        while len(body) < length:
            body += connection.recv(4096)
    return opened
