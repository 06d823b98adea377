"""curl and wrk as a person would call them."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .client import Answer, parse
from .processes import program, run

WRK_SCRIPT = """\
local turn = 0
function request()
  turn = turn + 1
  return wrk.format("GET", "/", { ["Cookie"] = "uid=user-" .. turn % 1000 })
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\\n',
    summary.requests, e.connect, e.read, e.write, e.timeout, e.status))
end
"""


@dataclass
class Curled:
    answer: Answer
    code: int
    errors: str
    reports: list

    @property
    def report(self):
        """What curl measured of the last transfer."""
        return self.reports[-1]


def curl(*arguments, code=0, body=None):
    """Runs curl. `body` feeds its standard input. Of several URLs the head and body of the *last* are kept."""
    with tempfile.TemporaryDirectory() as folder:
        head, out = Path(folder, "head"), Path(folder, "body")
        found = subprocess.run(
            [program("curl"), "-sS", "--max-time", "60", "-D", head, "-o", out, "-w", "%{json}\\n", *map(str, arguments)],
            **({"input": body} if body is not None else {"stdin": subprocess.DEVNULL}),
            capture_output=True,
        )
        if code is not None:
            assert found.returncode == code, f"curl {arguments} ended with {found.returncode}: {found.stderr.decode()}"
        blocks = [block for block in head.read_bytes().decode("latin-1").split("\r\n\r\n") if block] if head.exists() else []
        # Interim answers come first; trailers are a block without a status line.
        heads = [block for block in blocks if block.startswith("HTTP/")]
        trailers = [block for block in blocks if not block.startswith("HTTP/")]
        status, lines = (int(heads[-1].split()[1]), heads[-1].split("\r\n")[1:]) if heads else (0, [])
        answer = Answer(status, parse(lines), out.read_bytes() if out.exists() else b"")
        answer.trailers = parse(line for block in trailers for line in block.split("\r\n"))
        answer.interim = [int(block.split()[1]) for block in heads[:-1]]
        return Curled(answer, found.returncode, found.stderr.decode(), [json.loads(line) for line in found.stdout.splitlines()])


class Wrk:
    """wrk in the background, as a thousand users over keep-alive connections."""

    def __init__(self, folder, url, seconds, connections=64):
        script = Path(folder, "users.lua")
        script.write_text(WRK_SCRIPT)
        self.process = subprocess.Popen(
            [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=5s", "-s", script, url],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def is_running(self):
        return self.process.poll() is None

    def result(self):
        output, _ = self.process.communicate(timeout=120)
        line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
        assert line, output
        return json.loads(line.removeprefix("RESULT "))

    def stop(self):
        if self.is_running():
            self.process.kill()
            self.process.wait()


def cutover(*arguments, code=0):
    """Runs a verb of the command line."""
    from .proxy import BINARY

    return run(BINARY, *arguments, code=code)


def cutover_json(*arguments, code=0):
    """Runs a verb with `--json`; what it wrote to standard output."""
    return json.loads(cutover(*arguments, "--json", code=code).stdout)
