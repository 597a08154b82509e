#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Four streams in two graphs under a real seedd, and whatever goes wrong in a year, in minutes.

usage: soak.py BUILD [SECONDS [SEED [SPEED]]]

Leaves BUILD/soak/report.md, report.json and plots; ends with 0 when all accounts add up."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "daemon"), os.path.join(HERE, "..", "tools")]
# pylint: disable=wrong-import-position
from seedd_harness import BUILD, MEDIA, Daemon, assert_adds_up, wait_for
from harness import random_model
from faults import SERVER, Camera, Faults
from plot import plot
from watcher import RISE_BYTES, RISE_BYTES_PER_SECOND, WARM_UP, Counter, Watcher

CLIP = MEDIA + "/realshort.mp4"
CLIP_FPS, WIDTH, HEIGHT = 25, 160, 96

SEE = """version: 1
graph: see
streams:
  door: {{ {door} }}
  yard: {{ {yard} }}
nodes:
  frames: {{ stage: decode, streams: all }}
  words: {{ stage: patchify, from: frames, image-size: 32 }}
  view: {{ stage: teacher, from: words, model: {folder}/a }}
  out: {{ stage: publish, from: view, health-interval-ms: 500 }}
"""
LEARN = """version: 1
graph: learn
streams:
  gate: {{ {gate} }}
  lane: {{ {lane}, max-fps: 20 }}
nodes:
  frames: {{ stage: decode, streams: all }}
  views: {{ stage: patchify, from: frames, views: 2, batch: 4, augment: true }}
  a: {{ stage: teacher, from: views, model: {folder}/a }}
  b: {{ stage: teacher, from: views, model: {folder}/b }}
  fused: {{ stage: fusion, from: [a, b], calibration: 16, duplicate-window-ms: 0 }}
  learn: {{ stage: student, mode: train, from: views, target: fused, size: mini, image-size: 32, checkpoint: {folder}/checkpoint, checkpoint-every: 20 }}
  words: {{ stage: patchify, from: frames }}
  student: {{ stage: student, mode: infer, from: words, follows: learn }}
  out: {{ stage: publish, from: [student, learn], health-interval-ms: 500 }}
"""


def make_pictures(path):
    subprocess.run(["gst-launch-1.0", "-q", "filesrc", "location=" + CLIP, "!", "decodebin", "!", "videoconvert",
                    "!", "videoscale", "!", f"video/x-raw,format=I420,width={WIDTH},height={HEIGHT}", "!",
                    "filesink", "location=" + path], check=True, timeout=120)
    return path


def start_cameras(folder, speed):
    """Four cameras, or none where there is no RTSP server: then files play their part."""
    if not os.path.exists(SERVER):
        return [], [f'uri: "file://{CLIP}", loop: true'] * 4
    pictures = make_pictures(folder + "/pictures.i420")
    # its pictures over and over
    source = (f"multifilesrc location={pictures} loop=true ! rawvideoparse format=i420 width={WIDTH} "
              f"height={HEIGHT} framerate={int(CLIP_FPS * speed)}/1")
    cameras = [Camera(source) for _ in range(4)]
    return cameras, [f'uri: "{c.uri()}", retry-min-ms: 100, retry-max-ms: 500' for c in cameras]


def wait_settled(daemon):
    def settled():
        for name in ("see", "learn"):
            graph = daemon.graph(name)
            streams = (graph["process"] or {}).get("streams", [])
            if graph["state"] != "running" or len(streams) < 2 or any(
                    s["state"] != "up" or s["frames"] == 0 for s in streams):
                return False
        return True
    wait_for(settled, "all streams up")


def check_ledgers(daemon):
    wrong, totals = [], {}
    for name in ("see", "learn"):
        stats = daemon.ask("stats", name)
        try:
            assert_adds_up(stats)
        except AssertionError as error:
            wrong.append(f"ledger of {name}: {error}")
        for stage in stats["stages"]:
            for stream, entry in (stage.get("ledger") or {}).items():
                totals[f"{name}/{stage['name']}/{stream}"] = entry
    return wrong, totals


def check_restarts(daemon, expected):
    wrong, counted = [], {}
    for name, causes in expected.items():
        graph = daemon.graph(name)
        counted[name] = {c: n for c, n in graph["restarts_by_cause"].items() if n}
        if counted[name] != causes or graph["restarts"] != sum(causes.values()):
            wrong.append(f"restarts of {name}: counted {counted[name]}, done {causes}")
    return wrong, counted


def check_lives(lives):
    measured, wrong = [], []
    for life in lives.values():
        judged = life.judge()
        if judged:
            measured.append(judged[0])
            wrong += judged[1]
    if not any(m["process"] == "seedd" for m in measured):
        wrong.append("the daemon was not seen for long enough to be judged")
    return wrong, measured


def check_results(daemon, counter):
    """What the honest subscriber misses of processes that live has been counted by somebody."""
    wrong, status = [], daemon.ask("status")
    dropped = status["results"]["dropped"]
    for kind in ("embedding", "train", "health", "event"):
        if not counter.kinds.get(kind):
            wrong.append(f"no result of kind {kind} came")
    for name in ("see", "learn"):
        for stage in daemon.ask("stats", name)["stages"]:
            dropped += (stage.get("stats") or {}).get("dropped-queue-full", 0)
    if counter.gaps > dropped:
        wrong.append(f"{counter.gaps} results are missing, {dropped} were counted as dropped")
    return wrong, {"received": counter.received, "missing": counter.gaps, "missing_of_dead_processes": counter.dead_gaps,
                   "counted_dropped": dropped,
                   "by_kind": counter.kinds}


def torment(faults, seconds, rng, begin):
    """Every kind once, then at random, until the time is over: [(seconds, what)]."""
    done, kinds = [], faults.kinds[:]
    rng.shuffle(kinds)
    while time.monotonic() - begin < seconds or kinds:
        fault = kinds.pop() if kinds else rng.choice(faults.kinds)
        at = time.monotonic() - begin
        done.append((at, fault()))
        print(f"# {at:6.1f} s  {done[-1][1]}", flush=True)
        time.sleep(rng.uniform(0.2, max(0.4, min(seconds / 60, 6))))  # between two faults
    return done


def write_report(out, report, watcher):
    with open(out + "/report.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    marks = [(at, what) for at, what in report["faults"]]
    plot(out + "/memory.svg", "Resident memory", "MiB",
         {f"{l.name} {l.pid}": [(s[0], s[1] / 2**20) for s in l.samples] for l in watcher.lives.values()}, marks)
    plot(out + "/latency.svg", "Latency from capture to publication, 99 %", "ms", watcher.latency, marks)
    plot(out + "/drops.svg", "Results dropped", "messages", {"dropped": watcher.dropped}, marks)
    lines = [f"# Soak of {report['seconds']} s, seed {report['seed']}", "",
             "**" + ("passed" if not report["wrong"] else "FAILED") + "**", ""]
    lines += [f"- {w}" for w in report["wrong"]]
    lines += ["", f"{report['ledger_checks']} ledgers and {report['scrapes']} scrapes were checked while it ran. "
              f"Results: {report['results']}. Restarts: {report['restarts']}.", "",
              f"Memory may rise, {WARM_UP:g} s after a process began, by {RISE_BYTES >> 20} MiB and "
              f"{RISE_BYTES_PER_SECOND >> 10} KiB/s.", "",
              "| process | seconds | RSS MiB | rise MiB | bound MiB | more fds | more threads |",
              "|---|---|---|---|---|---|---|"]
    lines += [f"| {m['process']} {m['pid']} | {m['seconds']} | {m['rss_mib']} | {m['rise_mib']} | {m['bound_mib']} | "
              f"{m['more_fds']} | {m['more_threads']} |" for m in report["processes"]]
    lines += ["", "![memory](memory.svg)", "", "![latency](latency.svg)", "", "![drops](drops.svg)", "",
              "| at | fault |", "|---|---|"] + [f"| {at:.1f} s | {what} |" for at, what in report["faults"]]
    with open(out + "/report.md", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def run(folder, seconds, seed, speed, out):
    rng = random.Random(seed)
    for number, name in enumerate("ab"):
        random_model(f"{folder}/{name}", image_size=32, patch_size=16, dim=64, depth=1, heads=2, seed=number)
    cameras, sources = start_cameras(folder, speed)
    texts = {"see": SEE.format(folder=folder, door=sources[0], yard=sources[1]),
             "learn": LEARN.format(folder=folder, gate=sources[2], lane=sources[3])}
    # a full disk is an error of write(), not the signal that a limit is
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    options = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"
    try:
        with Daemon(folder, texts, config="http: 127.0.0.1:0\nhwm: 200\ndefaults: { threads: 1, stall: 60 }\n",
                    hang=3, env={"ASAN_OPTIONS": options}, restore_signals=False) as daemon:
            wait_settled(daemon)
            counter = Counter(daemon.results)
            begin = time.monotonic()
            watcher = Watcher(daemon, begin)
            watcher.start()
            faults = Faults(rng, daemon, cameras, texts)
            done = torment(faults, seconds, rng, begin)
            wait_settled(daemon)
            wait_for(lambda: watcher.ledgers > 3 and watcher.scrapes > 1, "accounts were looked at")
            watcher.finish()
            judged = {"ledgers": check_ledgers(daemon), "restarts": check_restarts(daemon, faults.expected),
                      "processes": check_lives(watcher.lives)}
            time.sleep(0.5)  # for what is on its way
            judged["results"] = check_results(daemon, counter)
            counter.stopping.set()
            counter.join()
            daemon.stop()
            shutil.copy(daemon.log, out + "/seedd.log")
    finally:
        for camera in cameras:
            camera.kill()
    wrong = watcher.wrong + [w for part in judged.values() for w in part[0]]
    report = {"seconds": seconds, "seed": seed, "cameras": len(cameras), "speed": speed, "wrong": wrong,
              "faults": done, "ledger_checks": watcher.ledgers, "scrapes": watcher.scrapes,
              **{name: part[1] for name, part in judged.items()}}
    write_report(out, report, watcher)
    return report


def soak(seconds, seed=1, speed=4.0):
    out = os.path.join(BUILD, "soak")
    os.makedirs(out, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="seed-soak-") as folder:
        return run(folder, seconds, seed, speed, out)


def main():
    arguments = sys.argv[2:]
    seconds = float(arguments[0]) if arguments else 600
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    speed = min(float(arguments[2]), 10) if len(arguments) > 2 else 4.0
    report = soak(seconds, seed, speed)
    for text in report["wrong"]:
        print("wrong: " + text)
    print(f"{'passed' if not report['wrong'] else 'FAILED'}: {BUILD}/soak/report.md")
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
