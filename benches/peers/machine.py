"""Processes on this machine: start them pinned, ask what they cost, and end every one of them."""

import ctypes
import os
import resource
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def free_port():
    """A port that nobody listens on now. Peers take no port 0, so it has to be chosen for them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def raise_file_limit():
    """As many descriptors as we may have; started processes inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Process:
    """A started program with its children, on one core. Ends with `stop`, or when we die."""

    def __init__(self, command, core, log):
        def prepare():
            os.sched_setaffinity(0, {core})
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        self.log = Path(log)
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=prepare,
                start_new_session=True,
            )

    @property
    def pid(self):
        return self.child.pid

    def tree(self):
        """Our child and everything below it."""
        found, unseen = [], [self.pid]
        while unseen:
            pid = unseen.pop()
            found.append(pid)
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    unseen += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def cpu_seconds(self):
        """User and system time of the tree so far, with that of children that ended (fields 14 to 17)."""
        total = 0
        for pid in self.tree():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            total += sum(map(int, fields[11:15]))
        return total / TICK

    def resident_bytes(self):
        total = 0
        for pid in self.tree():
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total

    def peak_bytes(self):
        """The most that our child itself ever held."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self):
        """Asks, waits, then insists; nothing of this process group is left."""
        if self.child.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def last_words(self):
        return self.log.read_text(errors="replace")[-2000:]


def trusting():
    """TLS with whoever answers: the certificates of a run are of its own making."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


TRUSTING = trusting()


def get(url, headers=None, timeout=2):
    """Status, headers and body, for any status."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=TRUSTING) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


def wait_for(url, process, seconds=30):
    """Polls until the URL answers 200; how long that took."""
    start = time.monotonic()
    while True:
        try:
            if get(url)[0] == 200:
                return time.monotonic() - start
        except OSError:
            pass
        if process.child.poll() is not None:
            raise SystemExit(f"{process.child.args[0]} ended with {process.child.returncode}:\n{process.last_words()}")
        if time.monotonic() - start > seconds:
            raise SystemExit(f"{process.child.args[0]} is not ready after {seconds} s:\n{process.last_words()}")
        time.sleep(0.005)


def busy_share(seconds=1):
    """How much of all cores is in use, or stolen by the host, while we do nothing."""

    def times():
        fields = list(map(int, open("/proc/stat").readline().split()[1:9]))
        return sum(fields), fields[3] + fields[4]

    (all_before, idle_before), _, (all_after, idle_after) = times(), time.sleep(seconds), times()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def describe():
    """What the figures were measured on."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
        os.uname().machine,
    )
    return f"{cpu}, {os.cpu_count()} cores, Linux {os.uname().release}"
