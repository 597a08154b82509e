#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows the results of the demo: subscribes to its endpoint, prints what comes live, and at the end (SIGINT) what it
means; or with --ledger FILE what seed-run --stats left.

usage: demo-show.py ENDPOINT | --ledger FILE
"""
import json
import signal
import sys
import time

import numpy as np
import zmq

CLIP = 350                    # frames of one pass over the clip
CUTS = [0, 35, 128, 303]      # first frames of its shots, as graphs/media/README.md says
SHOTS = ("meadow", "brook", "bird", "burrow")
EVERY = 2.0                   # seconds between lines
SHADES = " .:-=+*#%@"


class Show:
    def __init__(self):
        self.topics = {}
        self.losses = []
        self.embeddings = {}  # frame of the run -> unit vector
        self.heat = {}        # frame of the last pass, the middle of a shot -> [256, G, G]
        self.cuts = []
        self.started = self.last = time.monotonic()
        self.frames_at_last = 0
        self.train = None

    def take(self, parts):
        topic, result = parts[0].decode(), json.loads(parts[1])
        tensors = {tensor["name"]: np.frombuffer(part, dtype=tensor["dtype"]).reshape(tensor["shape"])
                   for tensor, part in zip(result["tensors"], parts[2:])}
        if topic not in self.topics:
            shapes = ", ".join(f"{t['dtype']}{t['shape']}" for t in result["tensors"]) or "data"
            print(f"  new topic  {topic:32} {shapes}", flush=True)
        self.topics[topic] = self.topics.get(topic, 0) + 1
        if result["kind"] == "embedding":
            self.embeddings[result["frame"]] = next(iter(tensors.values())).reshape(-1).copy()
        elif result["kind"] == "anchors" and "heatmaps" in tensors and result["frame"] % CLIP in middles():
            self.heat[result["frame"] % CLIP] = tensors["heatmaps"].copy()
        elif result["kind"] == "train":
            self.learned(result["data"])
        elif result["kind"] == "event":
            self.happened(result)
        if time.monotonic() - self.last >= EVERY:
            self.line()

    def learned(self, data):
        self.train = data
        self.losses.append(data["loss"]["similarity"])

    def happened(self, result):
        event = result["data"]["event"]
        if event == "scene-cut":
            self.cuts.append(result["frame"])
        elif event != "near-duplicate":
            print(f"  event      {event} {result['stream']} {result['data'].get('reason', '')}", flush=True)

    def line(self):
        now = time.monotonic()
        frames = len(self.embeddings)
        fps = (frames - self.frames_at_last) / max(now - self.last, 1e-9)
        text = f"  {now - self.started:5.1f} s  {frames:5} frames embedded, {fps:6.1f}/s, {len(self.cuts)} cuts"
        if self.train:
            text += f"   step {self.train['step']:4}  loss {np.mean(self.losses[-22:]):6.3f}"
            teachers = self.train.get("fusion", {}).get("teachers", {})
            text += "   pairs won " + " ".join(
                f"{name} {100 * won['diagonal']:.0f}%" for name, won in teachers.items())
        print(text, flush=True)
        self.last, self.frames_at_last = now, frames

    def end(self):
        self.line()
        print("What came out:")
        for topic, count in sorted(self.topics.items()):
            print(f"  {count:6} messages  {topic}")
        self.shots()
        self.neighbours()
        self.places()

    def shots(self):
        passes = {}
        for frame in self.cuts:
            passes.setdefault(frame // CLIP, []).append(frame % CLIP)
        print(f"Cuts (the clip has them at frames {', '.join(map(str, CUTS[1:]))}, and starts again at 0):")
        for number, found in sorted(passes.items()):
            print(f"  pass {number + 1}: {', '.join(map(str, found))}")

    def neighbours(self):
        """Of every frame of a pass, is the nearest frame that is at least half a second away of the same shot?"""
        print("Neighbours (the nearest frame half a second or more away is of the same shot; mean cosines of shots):")
        last = max(self.embeddings) // CLIP
        for number in sorted({0, last}):
            frames = [f for f in sorted(self.embeddings) if f // CLIP == number]
            z = np.stack([self.embeddings[f] for f in frames])
            shot = np.searchsorted(CUTS, [f % CLIP for f in frames], side="right") - 1
            cosine = z @ z.T
            far = np.abs(np.subtract.outer(frames, frames)) >= 12
            nearest = np.where(far, cosine, -2).argmax(1)
            same = np.mean(shot == shot[nearest])
            print(f"  pass {number + 1}: {100 * same:.0f} % of {len(frames)} frames")
            if number == last:
                for a in range(len(SHOTS)):
                    row = "  ".join(f"{cosine[np.ix_(shot == a, shot == b)].mean():5.2f}" for b in range(len(SHOTS)))
                    print(f"    {SHOTS[a]:8} {row}")

    def places(self):
        """Where in the middle frame of each shot its three strongest anchors are."""
        print("Anchors (number and share in the frame; where they are):")
        for shot, frame in zip(SHOTS, middles()):
            heat = self.heat.get(frame)
            if heat is None:
                continue
            share = heat.mean((1, 2))
            top = share.argsort()[::-1][:3]
            print(f"  {shot:8}" + "".join(f" #{k:<3} {100 * share[k]:4.1f} %    " for k in top))
            for y in range(heat.shape[1]):
                print("          " + "   ".join(
                    "".join(2 * SHADES[min(int(v / max(heat[k].max(), 1e-9) * len(SHADES)), len(SHADES) - 1)]
                            for v in heat[k][y]) for k in top))


def middles():
    return [(a + b) // 2 for a, b in zip(CUTS, [*CUTS[1:], CLIP])]


def live(endpoint):
    show = Show()
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.rcvhwm = 100000
    socket.subscribe(b"demo/")
    socket.connect(endpoint)
    ended = []
    signal.signal(signal.SIGINT, lambda *_: ended.append(True))
    while socket.poll(200) or not ended:
        while socket.poll(0):
            show.take(socket.recv_multipart())
    show.end()


def ledger(path):
    with open(path, encoding="utf-8") as file:
        stats = json.load(file)
    print("What happened to the frames:")
    for stage in stats["stages"]:
        for stream, entry in stage["ledger"].items():
            dropped = ", ".join(f"{n} {reason}" for reason, n in entry["dropped"].items() if n)
            print(f"  {stage['node']:10} {stream:8} {entry['in']:6} in = {entry['out']:6} out"
                  f" + {sum(entry['dropped'].values())} dropped{' (' + dropped + ')' if dropped else ''}"
                  f" + {entry['in_flight']} in flight")


if len(sys.argv) == 3 and sys.argv[1] == "--ledger":
    ledger(sys.argv[2])
elif len(sys.argv) == 2:
    live(sys.argv[1])
else:
    sys.exit(__doc__)
