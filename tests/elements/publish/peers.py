# SPDX-License-Identifier: MIT
"""What the tests share that are peers of a running seedpublish: the publisher, keys, subscribers."""
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

DEBIAN_PYTHON = "/usr/bin/python3"
try:
    import zmq
except ImportError as missing:
    # Debian's modules belong to Debian's interpreter, which need not be the first on the path.
    if os.path.exists(DEBIAN_PYTHON) and sys.executable != DEBIAN_PYTHON:
        os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, *sys.argv])
    print(f"1..0 # SKIP {missing}: needs python3-zmq")
    sys.exit(0)

BUILD = pathlib.Path(sys.argv[1])
LIMIT = 20


class Publisher:
    """A serve-results process, which may open so many files."""

    def __init__(self, properties, endpoint="tcp://127.0.0.1:*", files=1024):
        self.process = subprocess.Popen(
            [BUILD / "tests" / "elements" / "publish" / "serve-results",
             f"health-interval-ms=0 endpoint={endpoint} {properties}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))
        self.endpoint = self.process.stdout.readline().strip()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the publisher is gone: {self.process.wait(LIMIT)}: {self.process.stderr.read()[-2000:]}"
        return answer.strip()

    def push(self, stream="cam0", dim=4, n=1):
        assert self.ask(f"push {stream} {dim} {n}") == "pushed"

    def stats(self):
        return json.loads(self.ask("stats"))

    def wait(self, name, test, limit=LIMIT, awake=()):
        """Until a number in the statistics passes the test; the last statistics.

        Sockets in awake are looked at meanwhile: libzmq subscribes again after a new connection only
        when its owner calls it.
        """
        end = time.monotonic() + limit
        while True:
            stats = self.stats()
            if test(stats[name]):
                return stats
            assert time.monotonic() < end, (name, stats)
            for socket in awake:
                socket.poll(0)
            time.sleep(0.01)

    def stop(self):
        """Ends it in order; a sanitizer's complaint would show as a status."""
        self.process.stdin.close()
        status = self.process.wait(LIMIT)
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return status, errors


@contextlib.contextmanager
def publisher(properties="", endpoint="tcp://127.0.0.1:*", files=1024):
    running = Publisher(properties, endpoint, files)
    try:
        assert running.endpoint, running.process.stderr.read()
        yield running
        status, errors = running.stop()
        assert status == 0, (status, errors[-2000:])
    finally:
        running.process.kill()
        running.process.wait()


class Key:
    """A key pair and its files, written as this test's own reading of docs/wire.md says."""

    def __init__(self, folder, name):
        self.name = name
        self.public, self.secret = zmq.curve_keypair()
        self.path = pathlib.Path(folder) / f"{name}.key"
        self.public_path = pathlib.Path(folder) / f"{name}.pub"
        write(self.path, self.text() + f"    secret-key = \"{self.secret.decode()}\"\n")
        write(self.public_path, self.text())

    def text(self):
        return f"metadata\n    name = \"{self.name}\"\ncurve\n    public-key = \"{self.public.decode()}\"\n"

    def authorize(self, folder, results=None):
        rights = f"rights\n    results = \"{results}\"\n" if results is not None else ""
        temporary = pathlib.Path(folder) / f".{self.name}"
        write(temporary, self.text() + rights)
        temporary.rename(pathlib.Path(folder) / self.name)  # at once, as an operator should

    def revoke(self, folder):
        (pathlib.Path(folder) / self.name).unlink()


def write(path, text):
    path.write_text(text)
    path.chmod(0o600)


@contextlib.contextmanager
def subscriber(endpoint, *prefixes, key=None, server=None, context=None):
    own = context or zmq.Context()
    socket = own.socket(zmq.SUB)
    socket.linger = 0
    socket.rcvtimeo = LIMIT * 1000
    if server:
        socket.curve_serverkey = server
    if key:
        socket.curve_publickey, socket.curve_secretkey = key.public, key.secret
    for prefix in prefixes:
        socket.subscribe(prefix)
    socket.connect(endpoint)
    try:
        yield socket
    finally:
        socket.close()
        if not context:
            own.term()


def topics(socket, n):
    return [socket.recv_multipart()[0].decode() for _ in range(n)]


def hears_nothing(socket, ms=200):
    """Whether nothing waits in a socket now or arrives soon."""
    return not socket.poll(ms)
