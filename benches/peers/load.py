"""What asks: wrk with a thousand users, h2load as one, ab with a handshake per request.

All are clients of OpenSSL's and read `openssl.cnf` of the run's folder, so that every peer is met with the same TLS.
"""

import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import machine

USERS = 1000
# As long as a real ticket (49 bytes in base64url), for runs without Cutover: all peers read equally long lines.
NO_TICKET = "A" * 66

# TLS 1.3 with the fastest suite and the curve that all have; peers keep the rest of their defaults.
OPENSSL = """\
openssl_conf = start
[start]
ssl_conf = ssl
[ssl]
system_default = clients
[clients]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
"""

# Requests are made once and handed out in turn, so that wrk's own cost stays small. Large ones are few: each is a copy.
SCRIPT = """\
local requests, turn = {}, 0

function init(arguments)
  local path, connection, bytes = arguments[2], arguments[3], tonumber(arguments[4])
  local body = bytes > 0 and string.rep("x", bytes) or nil
  if connection == "keep-alive" then connection = nil end
  for cookie in io.lines(arguments[1]) do
    if body and #requests == 8 then break end
    requests[#requests + 1] = wrk.format(body and "POST" or "GET", path, { ["Cookie"] = cookie, ["Connection"] = connection }, body)
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


def signed(url, name="cutover", brought=None, users=USERS):
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
        return list(pool.map(cookie, range(users)))


class Load:
    """A generator on its core. `cookies` are the users' Cookie lines."""

    tool = ""

    def __init__(self, folder, core, connections, cookies):
        self.folder, self.core, self.connections, self.cookies = folder, core, connections, cookies
        (folder / "openssl.cnf").write_text(OPENSSL)

    def command(self, url, seconds):
        raise NotImplementedError

    @staticmethod
    def read(output):
        """What it counted, out of what it printed: at least `requests`, `seconds`, `failed`. `None` if it did not."""
        raise NotImplementedError

    def start(self, url, seconds):
        """`taskset`: a generator makes its threads before anyone could pin them."""
        return subprocess.Popen(
            ["taskset", "-c", str(self.core), *map(str, self.command(url, seconds))],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"OPENSSL_CONF": str(self.folder / "openssl.cnf")},
        )  # fmt: skip

    def result(self, started):
        output, _ = started.communicate()
        found = self.read(output)
        if not found or not found["requests"]:
            raise SystemExit(f"{self.tool} gave no result:\n{output[-3000:]}")
        return found

    def run(self, url, seconds):
        started = self.start(url, seconds)
        try:
            return self.result(started)
        finally:
            started.kill()


class Wrk(Load):
    """HTTP/1.1, a thousand users in turn over each connection."""

    tool = "wrk"

    def __init__(self, *arguments, path="/", keep_alive=True, upload=0):
        super().__init__(*arguments)
        self.path, self.connection, self.upload = path, "keep-alive" if keep_alive else "close", upload
        self.script = self.folder / "load.lua"
        self.script.write_text(SCRIPT)
        self.lines = self.folder / f"cookies-{len(list(self.folder.glob('cookies-*')))}"
        self.lines.write_text("".join(f"{cookie}\n" for cookie in self.cookies))

    def command(self, url, seconds):
        return [self.tool, "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout=5s", "-s", self.script, url,
                "--", self.lines, self.path, self.connection, self.upload]  # fmt: skip

    @staticmethod
    def read(output):
        for line in output.splitlines():
            if line.startswith("RESULT "):
                found = json.loads(line.removeprefix("RESULT "))
                found["failed"] = sum(found[kind] for kind in ("connect", "read", "write", "timeout", "status"))
                return found
        return None


class H2load(Load):
    """HTTP/2, 16 streams at a time on each connection. One user, as a connection of a browser's is."""

    tool = "h2load"

    def command(self, url, seconds):
        return [self.tool, f"-D{seconds}", f"-c{self.connections}", "-m16", "-H", f"cookie: {self.cookies[0]}", url]

    @staticmethod
    def read(output):
        counts = re.search(r"requests: .* (\d+) done, (\d+) succeeded", output)
        took = re.search(r"finished in ([\d.]+)(m?s)", output)
        if not counts or not took:
            return None
        done, succeeded = map(int, counts.groups())
        return {
            "requests": done,
            "seconds": float(took[1]) / (1000 if took[2] == "ms" else 1),
            "failed": done - succeeded,
        }


class Ab(Load):
    """HTTP/1.0, a connection and a full handshake per request: ab offers no session again. One user."""

    tool = "ab"

    def command(self, url, seconds):
        # `-n` behind `-t`, which sets it to 50,000 otherwise.
        return [self.tool, "-q", "-r", f"-t{seconds}", "-n500000", f"-c{self.connections}", "-H", f"Cookie: {self.cookies[0]}", url]

    @staticmethod
    def read(output):
        number = lambda name: re.search(rf"^{name}: +([\d.]+)", output, re.MULTILINE)  # noqa: E731
        if not (counted := number("Complete requests")):
            return None
        refused = number("Non-2xx responses")
        percentile = lambda share: int(re.search(rf"^ +{share}% +(\d+)", output, re.MULTILINE)[1]) * 1000  # noqa: E731
        return {
            "requests": int(counted[1]),
            "seconds": float(number("Time taken for tests")[1]),
            "failed": int(number("Failed requests")[1]) + (int(refused[1]) if refused else 0),
            "p50_us": percentile(50),
            "p99_us": percentile(99),
        }
