# SPDX-License-Identifier: MIT
"""A seedd in a folder of its own, with graphs that need nothing but GStreamer, and its clients."""
import json
import os
import signal
import subprocess
import sys
import time

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
from harness import BUILD, LIMIT, MEDIA, Subscriber, of_kind, tap, write  # noqa: F401  pylint: disable=unused-import

SEEDD = os.path.join(BUILD, "daemon", "seedd")
SEEDCTL = os.path.join(BUILD, "daemon", "seedctl")
ENV = {k: v for k, v in os.environ.items() if not k.startswith("GST_PLUGIN_PATH")}
ENV["GST_REGISTRY_1_0"] = os.path.join(BUILD, "tests", "daemon", "registry.bin")

CONFIG = """version: 1
graphs: graphs
runtime: run
state: state
results: {results}
heartbeat: {{ interval: 0.1, limit: {hang} }}
restart: {restart}
start-limit: 120
stop-limit: {stop}
"""

# Live frames, counted: queues and sinks keep ledgers.
LIVE = """version: 1
graph: {name}
nodes:
  src: {{ element: videotestsrc, properties: {{ is-live: true, pattern: {pattern} }} }}
  small: {{ element: capsfilter, from: src, queue: {{ frames: 64, leak: none }}, properties: {{ caps: "video/x-raw, format=GRAY8, width=64, height=48, framerate=100/1" }} }}
  gate: {{ element: valve, from: small, queue: {{ frames: 64, leak: none }}, properties: {{ drop: {drop}, drop-mode: forward-sticky-events }} }}
  out: {{ element: fakesink, from: gate, queue: {{ frames: 64, leak: none }} }}
"""

# A clip for ever, published.
CLIP = """version: 1
graph: {name}
streams:
  door: {{ uri: {media}/realshort.mp4, loop: true, max-fps: 20 }}
nodes:
  frames: {{ stage: decode, streams: all }}
  words: {{ stage: patchify, from: frames, image-size: 32 }}
  view: {{ stage: teacher, from: words, model: {model} }}
  out: {{ stage: publish, from: view, health-interval-ms: 200 }}
"""


with open(os.path.join(BUILD, "elements", "libgstseed.so"), "rb") as plugin:
    SANITIZED = b"__asan_init" in plugin.read()  # what is freed stays in a quarantine then, and all is slow


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait_for(condition, what, limit=LIMIT):
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Daemon:
    def __init__(self, folder, graphs, config="", hang=30, stop=20, env=None, restore_signals=True,
                 results=None, restart="{ initial: 0.2, max: 1, healthy: 300 }"):
        self.folder = folder
        os.makedirs(os.path.join(folder, "graphs"), exist_ok=True)
        for name, text in graphs.items():
            self.write(name, text)
        self.config = write(os.path.join(folder, "seedd.yaml"),
                            CONFIG.format(results=results or f"ipc://{folder}/results", hang=hang,
                                          stop=stop, restart=restart) + config)
        self.control = f"ipc://{folder}/run/control"
        self.results = f"ipc://{folder}/results"
        self.log = os.path.join(folder, "log")
        self.env = {**ENV, **(env or {})}
        self.restore_signals = restore_signals  # False: what we ignore, it ignores
        self.process = None
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([SEEDD, "--config", self.config], env=self.env,
                                            stderr=log, stdout=log,
                                            restore_signals=self.restore_signals)
        try:
            wait_for(lambda: self.is_up() or self.process.poll() is not None, "the control socket")
        except BaseException:
            self.process.kill()
            raise
        assert self.process.poll() is None, self.logged()

    def is_up(self):
        return os.path.exists(f"{self.folder}/run/control") and \
            self.ctl("list", "--timeout", "20", expect=None).returncode == 0 and \
            self.ask("status")["pid"] == self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error:
            print("# log of seedd:")
            for line in self.logged().splitlines():
                print("#   " + line)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def logged(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def path(self, name):
        return os.path.join(self.folder, "graphs", name + ".yaml")

    def write(self, name, text):
        """At once, as careful editors do."""
        write(self.path(name) + ".new", text)
        os.rename(self.path(name) + ".new", self.path(name))

    def ctl(self, *arguments, expect=0):
        done = subprocess.run([SEEDCTL, *arguments], env={**ENV, "SEED_CONTROL": self.control},
                              timeout=LIMIT, capture_output=True, text=True, check=False)
        assert expect is None or done.returncode == expect, (arguments, done)
        return done

    def ask(self, *arguments):
        return json.loads(self.ctl(*arguments, "--json").stdout)

    def graph(self, name):
        return self.ask("status", name)

    def wait_state(self, name, state):
        return wait_for(lambda: (g := self.graph(name))["state"] == state and g,
                        f"{name} {state}; {self.graph(name)}")

    def wait_frames(self, name, frames):
        return wait_for(lambda: ((g := self.graph(name))["process"] or {}).get("frames", 0) >= frames
                        and g, f"{frames} frames of {name}")

    def stop(self, expect=0):
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=LIMIT) == expect, self.logged()
        return time.monotonic() - begin


def rpc(endpoint, payload, kind=zmq.DEALER):
    """One message, as it is, and its reply."""
    socket = zmq.Context.instance().socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVTIMEO, int(LIMIT * 1000))
    socket.connect(endpoint)
    try:
        socket.send_multipart(payload if isinstance(payload, list) else [payload])
        return json.loads(socket.recv())
    finally:
        socket.close()


def assert_adds_up(stats):
    for part in stats["stages"] + stats["queues"]:
        for stream, entry in (part.get("ledger") or {}).items():
            total = entry["out"] + sum(entry["dropped"].values()) + entry["in_flight"]
            assert entry["in"] == total, (part["name"], stream, entry)


def lost_of(stats):
    return sum(n for part in stats["stages"] + stats["queues"]
               for entry in (part.get("ledger") or {}).values() for n in entry["dropped"].values())
