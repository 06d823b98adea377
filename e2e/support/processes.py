"""Programs that a test starts: each has a log, and each is gone when its test is over."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path


def free_port():
    """A port nobody listens on. Real programs take no port 0, or do not tell which one they got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed: e2e/run does that"
    return found


class Program:
    """A running program with its log."""

    def __init__(self, command, log, **options):
        self.log = Path(log)
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def is_running(self):
        return self.process.poll() is None

    def wait(self, seconds):
        return self.process.wait(seconds)

    def stop(self, seconds=10):
        """Asks, then insists. The exit code; -9 if it had to be killed."""
        if self.is_running():
            self.signal(signal.SIGTERM)
            try:
                self.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.process.wait()

    def resident_bytes(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def words(self):
        return self.log.read_text(errors="replace")


def run(*command, code=0, text=None, timeout=60):
    """Runs a program to its end and expects an exit code (`None`: any)."""
    found = subprocess.run(
        [str(word) for word in command],
        **({"input": text} if text is not None else {"stdin": subprocess.DEVNULL}),
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if code is not None:
        assert found.returncode == code, f"{command} ended with {found.returncode}\n{found.stdout}\n{found.stderr}"
    return found
