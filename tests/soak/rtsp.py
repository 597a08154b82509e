#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A camera that is cut off and comes back, again and again, in a graph under a real seedd.

usage: rtsp.py BUILD [TIMES [SECONDS]]   20 outages of 5 s

Ends with 0 when the stream was back each time within LIMIT_S of its server, with the defaults of decode, the
graph was never started again, its accounts add up, and neither it nor the daemon has grown."""
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "daemon"), os.path.join(HERE, "..", "tools")]
# pylint: disable=wrong-import-position
from seedd_harness import SANITIZED, Daemon, assert_adds_up, wait_for
from faults import SERVER, Camera
from watcher import Life

LIMIT_S = 3.0
WARM = 2  # outages after which pools are as full as they get
MORE_BYTES, MORE_FDS, MORE_THREADS = 16 << 20, 4, 4

GRAPH = """version: 1
graph: away
streams:
  door: {{ uri: "{uri}" }}
nodes:
  frames: {{ stage: decode, streams: all }}
  words: {{ stage: patchify, from: frames, image-size: 32 }}
  out: {{ element: fakesink, from: words }}
"""


def is_there():
    return os.path.exists(SERVER)


def stream(daemon):
    (one,) = daemon.ask("stream", "list", "away")
    return one


def wait_frames(daemon, more):
    frames = stream(daemon)["frames"]
    wait_for(lambda: (s := stream(daemon))["state"] == "up" and s["frames"] >= frames + more, "frames")


def outage(daemon, camera, seconds):
    """Seconds from the moment its server listens until the stream is up again."""
    camera.kill()
    wait_for(lambda: stream(daemon)["state"] != "up", "the outage is noticed")
    time.sleep(seconds)  # is the outage
    camera.start()
    begin = time.monotonic()
    wait_for(lambda: stream(daemon)["state"] == "up", "the stream is back")
    back = time.monotonic() - begin
    wait_frames(daemon, 3)
    return back


def judge(backs, samples, limit):
    """[what is wrong]; samples: {process: [(rss, fds, threads)]}, one after each outage."""
    wrong = [f"outage {i + 1}: back after {s:.2f} s" for i, s in enumerate(backs) if s > limit]
    for name, taken in samples.items():
        warm, last = taken[min(WARM, len(taken) - 1)], taken[-1]
        for what, i, more in (("bytes", 0, MORE_BYTES), ("descriptors", 1, MORE_FDS), ("threads", 2, MORE_THREADS)):
            if last[i] > warm[i] + more and not (what == "bytes" and SANITIZED):
                wrong.append(f"{name}: {last[i] - warm[i]} {what} more")
    return wrong


def run(folder, times, seconds, limit=LIMIT_S):
    camera = Camera("videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=96,framerate=25/1")
    backs, samples = [], {}
    try:
        with Daemon(folder, {"away": GRAPH.format(uri=camera.uri())}) as daemon:
            pid = daemon.wait_state("away", "running")["pid"]
            wait_for(lambda: stream(daemon)["state"] == "up", "the stream")
            lives = [Life("seedd", daemon.process.pid), Life("away", pid)]
            for number in range(times):
                backs.append(outage(daemon, camera, seconds))
                for life in lives:
                    life.look(number)
                    samples[life.name] = [s[1:] for s in life.samples]
                print(f"# outage {number + 1}: back after {backs[-1]:.2f} s; " + "; ".join(
                    f"{n} {s[-1][0] / 2**20:.1f} MiB, {s[-1][1]} descriptors, {s[-1][2]} threads"
                    for n, s in samples.items()), flush=True)
            wrong = judge(backs, samples, limit)
            graph = daemon.graph("away")
            if graph["pid"] != pid or graph["restarts"]:
                wrong.append("the graph was started again")
            assert_adds_up(daemon.ask("stats", "away"))
            if stream(daemon)["outages"] != times:
                wrong.append(f"{stream(daemon)['outages']} outages were counted, there were {times}")
            daemon.stop()
    finally:
        camera.kill()
    return wrong, backs


def main():
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5
    if not is_there():
        print("needs a build with libgstrtspserver-1.0-dev")
        return 1
    with tempfile.TemporaryDirectory(prefix="seed-rtsp-") as folder:
        wrong, backs = run(folder, times, seconds)
    for text in wrong:
        print("wrong: " + text)
    print(f"{'FAILED' if wrong else 'passed'}: {times} outages of {seconds:g} s, back after at most {max(backs):.2f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
