# SPDX-License-Identifier: MIT
"""What the system tests share: the programs of a build, a subscriber, graphs on disk."""
import json
import os
import subprocess
import sys
import threading
import time

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import tap  # pylint: disable=wrong-import-position

SOURCE = os.environ.get("SEED_SOURCE_DIR") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(SOURCE, "build"))
SEED_RUN = os.path.join(BUILD, "daemon", "seed-run")
MAKE_MODEL = os.path.join(BUILD, "tests", "tools", "seed-make-random-model")
IMAGES = os.path.join(SOURCE, "tests", "data", "images")
MEDIA = os.path.join(SOURCE, "tests", "data", "media")
LIMIT = float(os.environ.get("SEED_TEST_LIMIT", "240"))  # seconds any one program may take


class Subscriber(threading.Thread):
    """Collects every message of an endpoint until stopped."""

    def __init__(self, endpoint, prefix=b"", prepare=lambda socket: None):
        super().__init__(daemon=True)
        self.messages = []  # (topic, header, parts)
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.setsockopt(zmq.SUBSCRIBE, prefix)
        prepare(self.socket)  # with keys, for one
        self.socket.connect(endpoint)
        self.stopping = threading.Event()
        self.until_ns = 0  # what is published later is no longer waited for: some graphs never end
        self.start()

    def run(self):
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        while True:
            if poller.poll(100):
                parts = self.socket.recv_multipart()
                self.messages.append((parts[0].decode(), json.loads(parts[1]), parts[2:]))
                if self.stopping.is_set() and self.messages[-1][1]["publish_ns"] > self.until_ns:
                    break
            elif self.stopping.is_set():
                break
        self.socket.close(0)

    def finish(self):
        self.until_ns = time.time_ns()
        self.stopping.set()
        self.join()
        return self.messages


def of_kind(messages, kind, node=None):
    return [m for m in messages if m[1]["kind"] == kind and (not node or m[1]["node"] == node)]


def random_model(folder, **options):
    arguments = [MAKE_MODEL, "--out", folder]
    for key, value in options.items():
        arguments += ["--" + key.replace("_", "-"), str(value)]
    subprocess.run(arguments, check=True, timeout=LIMIT, stdout=subprocess.DEVNULL)
    return folder


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def seed_run(*arguments, check=True):
    done = subprocess.run([SEED_RUN, *arguments], timeout=LIMIT, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"seed-run exited {done.returncode}: {done.stderr}")
    return done


class Run:
    """A seed-run of a graph, with a subscriber that misses nothing and the statistics it leaves."""

    def __init__(self, folder, graph, *arguments):
        self.endpoint = "ipc://" + os.path.join(folder, "r%x.ipc" % time.monotonic_ns())
        self.stats_path = os.path.join(folder, "stats-%x.json" % time.monotonic_ns())
        self.subscriber = Subscriber(self.endpoint)
        self.process = subprocess.Popen(
            [SEED_RUN, graph, "--quiet", "--set", "endpoint=" + self.endpoint, "--stats",
             self.stats_path, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, expect=0):
        try:
            _, self.stderr = self.process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.messages = self.subscriber.finish()
        if self.process.returncode != expect:
            raise AssertionError(
                f"seed-run exited {self.process.returncode}, not {expect}: {self.stderr}")
        with open(self.stats_path, encoding="utf-8") as stats:
            self.stats = json.load(stats)
        return self


def assert_ledger_adds_up(stats):
    seen = 0
    for account in [*stats["stages"], *stats["queues"]]:
        for stream, entry in account["ledger"].items():
            where = f"{account}: {stream}"
            assert entry["in"] == entry["out"] + sum(entry["dropped"].values()) + entry["in_flight"], where
            seen += 1
    assert seen > 0, "no stage left a ledger"


def assert_seq_without_gaps(messages):
    last = {}
    for topic, header, _ in messages:
        assert header["seq"] == last.get(topic, -1) + 1, (topic, header["seq"], last.get(topic))
        last[topic] = header["seq"]
