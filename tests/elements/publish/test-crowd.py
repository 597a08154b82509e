#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Slow, dead, churning and hostile subscribers cost a bounded amount of memory, and no one else their results.

usage: test-crowd.py BUILD_FOLDER
"""
import contextlib
import os
import pathlib
import signal
import socket as sockets
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent / "tools"))
from peers import LIMIT, BUILD, publisher, subscriber, zmq
import tap

MIB = 1 << 20
# Sanitizers keep what was freed for a while; their own memory says nothing.
SANITIZED = b"__asan_init" in (BUILD / "elements" / "libgstseed.so").read_bytes()


def assert_flat(before, after, mib):
    grown = after["rss_bytes"] - before["rss_bytes"]
    assert SANITIZED or grown < mib * MIB, f"grew by {grown / MIB:.1f} MiB, {mib} are allowed"


def drain(socket):
    n = 0
    while socket.poll(0):
        socket.recv_multipart()
        n += 1
    return n


def test_come_and_go(_):
    """A thousand subscribers, forty at a time; one stays and gets everything."""
    with publisher("hwm=10000") as out, subscriber(out.endpoint, b"lobby/") as steady:
        out.wait("subscriptions", lambda n: n == 1)
        context = zmq.Context()
        got = sent = 0
        for round_ in range(25):
            crowd = []
            for i in range(40):
                socket = context.socket(zmq.SUB)
                socket.linger = 0
                for j in range(5):
                    socket.subscribe(b"lobby/cam%d/%d/%d" % (round_, i, j))
                socket.connect(out.endpoint)
                crowd.append(socket)
            if round_ % 2:
                out.wait("subscriptions", lambda n: n > 100)
            out.push("cam0", 64, 10)
            for socket in crowd:
                socket.close()
            out.push("cam0", 64, 10)
            sent += 20
            got += drain(steady)
            if round_ == 4:
                out.wait("connections", lambda n: n == 1)
                before = out.stats()
        stats = out.wait("connections", lambda n: n == 1)
        stats = out.wait("subscriptions", lambda n: n == 1)
        while got < sent:
            steady.recv_multipart()
            got += 1
        assert_flat(before, stats, 8)
        assert stats["open_files"] <= before["open_files"] + 2 and stats["dropped-queue-full"] == 0, stats
        context.term()


SLEEPER = """
import sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.rcvhwm = 1
socket.subscribe(b"lobby/")
socket.connect(sys.argv[1])
n = 0
while True:
    socket.recv_multipart()
    n += 1
    print(n, flush=True)
"""


def test_stopped_process(_):
    """A subscriber whose process is stopped is set aside; the other gets everything, memory stays flat."""
    with publisher("hwm=20") as out:
        sleeper = subprocess.Popen([sys.executable, "-c", SLEEPER, out.endpoint], stdout=subprocess.PIPE, text=True)
        try:
            out.wait("subscriptions", lambda n: n == 1)
            out.push("cam0", 16384)
            assert sleeper.stdout.readline() == "1\n"
            sleeper.send_signal(signal.SIGSTOP)
            with subscriber(out.endpoint, b"lobby/") as steady:
                out.wait("subscriptions", lambda n: n == 2)
                end = time.monotonic() + LIMIT
                while out.stats()["set-aside"] == 0:
                    assert time.monotonic() < end
                    out.push("cam0", 16384, 5)
                    drain(steady)
                before, got = out.stats(), 0
                for _ in range(100):
                    out.push("cam0", 16384, 5)
                    for _ in range(5):
                        steady.recv_multipart()
                        got += 1
                stats = out.stats()
                assert got == 500
                assert stats["dropped-queue-full"] == before["dropped-queue-full"]
                assert_flat(before, stats, 8)  # 500 messages are 31 MiB
        finally:
            sleeper.kill()
            sleeper.wait()
            sleeper.stdout.close()
        out.wait("connections", lambda n: n == 0)


def hostile(endpoint):
    context = zmq.Context()
    socket = context.socket(zmq.XSUB)
    socket.linger = 0
    socket.sndhwm = 1000
    socket.connect(endpoint)
    return context, socket


def flood(socket, messages, limit_s=10):
    """Sends as long as the other side takes them; how many it took."""
    n, end = 0, time.monotonic() + limit_s
    for message in messages:
        try:
            socket.send(message, zmq.DONTWAIT)
            n += 1
        except zmq.Again:
            if time.monotonic() > end:
                break
            time.sleep(0.001)
    return n


def test_millions_of_subscriptions(_):
    """Somebody who subscribes without end is hung up on, whenever it comes again."""
    with publisher() as out, subscriber(out.endpoint, b"lobby/") as steady:
        before = out.wait("subscriptions", lambda n: n == 1)
        context, socket = hostile(out.endpoint)
        flood(socket, (b"\x01lobby/%d/" % i for i in range(300000)), 6)
        context.destroy(0)
        stats = out.wait("connections", lambda n: n == 1)
        stats = out.wait("subscriptions", lambda n: n == 1)
        assert stats["hung-up"] >= 1, stats
        assert_flat(before, stats, 32)
        out.push("cam0")
        assert steady.recv_multipart()


class Flooder(threading.Thread):
    """Subscribes to one thing and ends that, again and again, faster than anybody reads it; without libzmq."""

    GREETING = b"\xff" + bytes(8) + b"\x7f\x03\0NULL" + bytes(48)
    READY = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB"
    CHUNK = b"\0\2\1a\0\2\0a" * 8192
    ALLOWED = 128 << 10

    def __init__(self, endpoint, stop):
        super().__init__()
        self.address = ("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))
        self.stop, self.ended = stop, 0

    def shake_hands(self, raw):
        raw.sendall(self.GREETING + self.READY)
        heard = b""
        while b"READY" not in heard:
            more = raw.recv(4096)
            if not more or b"ERROR" in more:
                raise ConnectionRefusedError
            heard += more

    def run(self):
        while not self.stop.is_set():
            sent = 0
            with contextlib.suppress(OSError), sockets.create_connection(self.address, LIMIT) as raw:
                self.shake_hands(raw)
                raw.settimeout(1)
                while not self.stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        sent += raw.send(self.CHUNK)
            self.ended += sent > self.ALLOWED and not self.stop.is_set()


def test_publishing_in_a_flood(_):
    """Whoever floods without end is hung up on each time, and keeps nobody from being published to.

    Sanitizers make each byte of a subscription, an allocation of libzmq's, a hundred times as dear: there,
    once is enough, and only that it ends at all is asked for.
    """
    n_flooders, n_times, limit = (1, 1, 4 * LIMIT) if SANITIZED else (2, 3, LIMIT)
    with publisher() as out, subscriber(out.endpoint, b"lobby/") as steady:
        before = out.wait("subscriptions", lambda n: n == 1)
        stop = threading.Event()
        alarm = threading.Timer(limit, stop.set)
        flooders = [Flooder(out.endpoint, stop) for _ in range(n_flooders)]
        for thread in (alarm, *flooders):
            thread.start()
        worst = n = 0
        try:
            while min(flooder.ended for flooder in flooders) < n_times and not stop.is_set():
                begin = time.monotonic()
                out.push("cam%d" % (n % 10))
                assert steady.recv_multipart()
                worst = max(worst, time.monotonic() - begin)
                n += 1
                time.sleep(0.001)
            ended = [flooder.ended for flooder in flooders]
        finally:
            stop.set()
            alarm.cancel()
            for flooder in flooders:
                flooder.join()
        stats = out.wait("connections", lambda n: n == 1, limit)
        stats = out.wait("subscriptions", lambda n: n == 1, limit)
        assert min(ended) >= n_times and stats["hung-up"] >= n_times * n_flooders, (ended, worst, stats)
        assert n > 0 and worst < (limit if SANITIZED else LIMIT / 4), (n, worst)
        assert stats["dropped-queue-full"] == 0, stats
        assert_flat(before, stats, 32)


def test_huge_topics(_):
    """Prefixes that no topic can have, and messages that are no subscription."""
    with publisher() as out, subscriber(out.endpoint, b"lobby/") as steady:
        before = out.wait("subscriptions", lambda n: n == 1)
        for size, first, n in ((2000, 1, 50), (100000, 1, 3), (5000000, 7, 20), (900, 7, 500), (10, 7, 500)):
            context, socket = hostile(out.endpoint)
            flood(socket, (bytes([first]) + os.urandom(size) for _ in range(n)), 0.2)
            context.destroy(0)
        stats = out.wait("connections", lambda n: n == 1)
        assert stats["subscriptions"] == 1
        assert_flat(before, stats, 32)
        out.push("cam0")
        assert steady.recv_multipart()


def test_junk(_):
    """Connections that speak something else, or nothing, up to and beyond the limit."""
    with publisher(files=256) as out, subscriber(out.endpoint, b"lobby/") as steady:
        before = out.wait("subscriptions", lambda n: n == 1)
        port = int(out.endpoint.rsplit(":", 1)[1])
        for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\x01\x00", os.urandom(5000),
                     b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL" + b"\0" * 48 + os.urandom(3000)):
            for _ in range(50):
                with contextlib.suppress(OSError), sockets.create_connection(("127.0.0.1", port), LIMIT) as raw:
                    raw.sendall(junk)
        silent = [sockets.create_connection(("127.0.0.1", port), LIMIT) for _ in range(200)]
        stats = out.wait("turned-away", lambda n: n >= 72)  # half of the files are for connections
        assert stats["open_files"] < 200, stats
        out.push("cam0")
        assert steady.recv_multipart()
        for raw in silent:
            raw.close()
        stats = out.wait("connections", lambda n: n == 1)
        assert stats["open_files"] <= before["open_files"] + 2, stats
        assert_flat(before, stats, 32)


tap.main([function for name, function in list(globals().items()) if name.startswith("test_")])
