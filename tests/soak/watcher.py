# SPDX-License-Identifier: MIT
"""What is looked at while a soak runs: processes, ledgers, latencies, drops, results."""
import json
import os
import threading
import time
import urllib.request

import zmq

import prometheus
from seedd_harness import assert_adds_up, rpc

WARM_UP = 8.0  # seconds of a process's life that do not count: models load, pools fill
# A process may grow, after its warm-up, by no more than this.
RISE_BYTES, RISE_BYTES_PER_SECOND = 24 << 20, 16 << 10
MORE_FDS, MORE_THREADS = 12, 12  # sessions of streams that are just being opened or closed


class Counter(threading.Thread):
    """An honest subscriber: counts results and the gaps in their numbers.

    What a publisher itself dropped it counts, but a killed process takes its counts with it: gaps of
    processes that are dead are counted apart."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.received, self.gaps, self.dead_gaps, self.kinds, self.events = 0, 0, 0, {}, []
        self.last, self.topic_gaps = {}, {}
        self.stopping = threading.Event()
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVHWM, 100000)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self.socket.connect(endpoint)
        self.start()

    def take(self, topic, header):
        kind, seq, last = header["kind"], header["seq"], self.last.get(topic)
        self.received += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind == "event" and header["node"] == "seedd":
            self.events.append((header["graph"], header["data"]["event"], header["data"]["reason"]))
            if header["data"]["event"] == "crashed":  # comes behind its last results
                self.forget(header["graph"].encode() + b"/", topic)
        if last is not None and seq > last + 1:
            self.topic_gaps[topic] = self.topic_gaps.get(topic, 0) + seq - last - 1
        elif last is not None and seq < last:  # it crashed, and that event itself was dropped
            self.dead_gaps += self.topic_gaps.pop(topic, 0)
        self.last[topic] = seq

    def forget(self, graph, but):
        """Its numbers begin with 0 again; those of the daemon's own topic (but) go on."""
        for topic in [t for t in self.last if t.startswith(graph) and t != but]:
            self.dead_gaps += self.topic_gaps.pop(topic, 0)
            del self.last[topic]

    def run(self):
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        while not self.stopping.is_set():
            if poller.poll(100):
                parts = self.socket.recv_multipart()
                self.take(parts[0], json.loads(parts[1]))
                self.gaps = sum(self.topic_gaps.values())
        self.socket.close(0)


class Life:
    """One process, from when it was first seen."""

    def __init__(self, name, pid):
        self.name, self.pid, self.samples = name, pid, []  # (seconds, rss, fds, threads)

    def look(self, seconds):
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
                fields = dict(line.split(":", 1) for line in status if ":" in line)
            fds = len(os.listdir(f"/proc/{self.pid}/fd"))
            rss = int(fields["VmRSS"].split()[0]) * 1024
        except (OSError, KeyError):
            return
        self.samples.append((seconds, rss, fds, int(fields["Threads"])))

    def warm(self):
        return [s for s in self.samples if s[0] - self.samples[0][0] >= WARM_UP]

    def judge(self):
        """(what was measured, [what is wrong]) or None: it did not live long enough."""
        warm = self.warm()
        if len(warm) < 5:
            return None
        n, span = len(warm), warm[-1][0] - warm[0][0]
        mean_t, mean_m = sum(s[0] for s in warm) / n, sum(s[1] for s in warm) / n
        slope = sum((s[0] - mean_t) * (s[1] - mean_m) for s in warm) / \
            (sum((s[0] - mean_t) ** 2 for s in warm) or 1)
        bound = RISE_BYTES + RISE_BYTES_PER_SECOND * span
        third = max(n // 3, 1)
        more = [sorted(s[i] for s in warm[-third:])[third // 2] - max(s[i] for s in warm[:third])
                for i in (2, 3)]
        measured = {"process": self.name, "pid": self.pid, "seconds": round(span, 1),
                    "rss_mib": round(warm[-1][1] / 2**20, 1), "slope_kib_per_s": round(slope / 1024, 2),
                    "rise_mib": round(slope * span / 2**20, 2), "bound_mib": round(bound / 2**20, 2),
                    "more_fds": more[0], "more_threads": more[1]}
        wrong = [text for bad, text in [
            (slope * span > bound, f"{self.name} grows by {measured['rise_mib']} MiB in {span:.0f} s"),
            (more[0] > MORE_FDS, f"{self.name} has {more[0]} descriptors more"),
            (more[1] > MORE_THREADS, f"{self.name} has {more[1]} threads more")] if bad]
        return measured, wrong


class Watcher(threading.Thread):
    """Looks twice a second, from the beginning to the end."""

    def __init__(self, daemon, begin):
        super().__init__(daemon=True)
        self.daemon_, self.begin = daemon, begin
        self.lives, self.latency, self.dropped = {}, {}, []
        self.ledgers, self.scrapes, self.wrong = 0, 0, []
        self.stopping = threading.Event()

    def ask(self, method, **params):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return rpc(self.daemon_.control, json.dumps(message).encode())

    def look(self):
        now = time.monotonic() - self.begin
        status = self.ask("status")["result"]
        processes = [("seedd", status["pid"])] + [(g["graph"], g["pid"]) for g in status["graphs"] if g["pid"]]
        for name, pid in processes:
            self.lives.setdefault(pid, Life(name, pid)).look(now)
        self.dropped.append((now, status["results"]["dropped"]))
        for graph in status["graphs"]:
            p99 = (graph["process"] or {}).get("latency_p99_ns")
            self.latency.setdefault(graph["graph"], []).append((now, p99 / 1e6 if p99 else None))

    def look_at_ledgers(self, graph):
        answer = self.ask("stats", graph=graph)
        if "result" in answer:  # else it just ends, starts, or hangs
            assert_adds_up(answer["result"])
            self.ledgers += 1

    def scrape(self):
        with urllib.request.urlopen(f"http://{self.ask('status')['result']['http']}/metrics", timeout=30) as page:
            prometheus.read(page.read().decode())
        self.scrapes += 1

    def run(self):
        turn = 0
        while not self.stopping.wait(0.5):
            try:
                self.look()
                if turn % 4 == 0:
                    self.scrape()
                if turn % 4 == 2:
                    for graph in self.latency:
                        self.look_at_ledgers(graph)
            except Exception as error:  # pylint: disable=broad-except
                self.wrong.append(f"{type(error).__name__}: {error}"[:300])
            turn += 1

    def finish(self):
        self.stopping.set()
        self.join()
