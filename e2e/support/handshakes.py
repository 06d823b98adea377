"""Full handshakes, one after another, from several processes: as many as the machine can."""

import hashlib
import multiprocessing
import socket
import ssl
import time

from .waiting import eventually


class Handshakes:
    """Shakes hands from its making until `stop`. Nobody takes a session up again."""

    def __init__(self, port, ca, processes=3):
        context = multiprocessing.get_context("spawn")
        self.told, self.stopping = context.Queue(), context.Event()
        self.done = [context.Value("L", 0) for _ in range(processes)]
        self.processes = [
            context.Process(target=shake, args=(port, str(ca), number, done, self.told, self.stopping), daemon=True)
            for number, done in enumerate(self.done)
        ]
        self.seen, self.failed = [set() for _ in self.processes], []
        for process in self.processes:
            process.start()
        eventually(lambda: all(done.value for done in self.done), 30, "all shake hands")
        self.began = time.monotonic(), self.count()

    def count(self):
        """How many handshakes there were."""
        return sum(done.value for done in self.done)

    def have_all_seen(self, digest):
        """Whether every process was shown this certificate. A failure before that is told as what it is."""
        self._listen()
        assert self.failed == []
        return all(digest in seen for seen in self.seen)

    def stop(self):
        """Ends them. How many handshakes there were, how they failed, and how many a second that was."""
        at, before = self.began
        rate = (self.count() - before) / (time.monotonic() - at)
        self.stopping.set()
        for process in self.processes:
            process.join(30)
        self._listen()
        return self.count(), self.failed, rate

    def _listen(self):
        while not self.told.empty():
            self._note(*self.told.get())

    def _note(self, number, what, told):
        self.seen[number].add(told) if what == "seen" else self.failed.append(told)


def shake(port, ca, number, done, told, stopping):
    """One process, until the first failure: tells that, and each certificate that it has not seen before."""
    context = ssl.create_default_context(cafile=ca)
    # Addresses of their own: the ports of one do not suffice for all that a minute brings.
    source, seen = (f"127.0.1.{number + 1}", 0), set()
    while not stopping.is_set():
        try:
            with socket.create_connection(("127.0.0.1", port), 10, source) as plain, context.wrap_socket(plain, server_hostname="localhost") as wire:
                digest = hashlib.sha256(wire.getpeercert(True)).hexdigest()
                assert not wire.session_reused
                # Its end says that the other side has finished, too.
                wire.sendall(b"no request\r\n\r\n")
                assert wire.recv(100).startswith(b"HTTP/1.1 400 ")
        except (OSError, AssertionError) as error:
            told.put((number, "failed", repr(error)))
            return
        done.value += 1
        if digest not in seen:
            seen.add(digest)
            told.put((number, "seen", digest))
