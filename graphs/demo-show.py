#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows the results of the demo as they come (JSON lines of 'seedctl tail' on standard input), or
with --ledger FILE what seed-run --stats left."""
import json
import sys
import time

EVERY = 2.0  # seconds between lines
WINDOW = 22  # steps in one pass over the clip: shots differ in how hard they are, passes do not


class Show:
    def __init__(self):
        self.topics = {}
        self.losses = []
        self.frames = 0
        self.started = self.last = time.monotonic()
        self.frames_at_last = 0
        self.train = None

    def take(self, result):
        topic = result["topic"]
        if topic not in self.topics:
            shapes = ", ".join(f"{t['dtype']}{t['shape']}" for t in result["tensors"]) or "data"
            print(f"  new topic  {topic:32} {shapes}", flush=True)
        self.topics[topic] = self.topics.get(topic, 0) + 1
        if result["kind"] == "embedding":
            self.frames += 1
        elif result["kind"] == "train":
            self.train = result["data"]
            self.losses.append(self.train["loss"]["similarity"])
        elif result["kind"] == "event":
            print(f"  event      {result['data']['event']} {result['stream']} {result['data']['reason']}")
        if time.monotonic() - self.last >= EVERY:
            self.line()

    def line(self):
        now = time.monotonic()
        fps = (self.frames - self.frames_at_last) / max(now - self.last, 1e-9)
        text = f"  {now - self.started:5.1f} s  {self.frames:5} frames embedded, {fps:6.1f}/s"
        if self.train:
            recent = self.losses[-WINDOW:]
            loss = sum(recent) / len(recent)
            first = sum(self.losses[:WINDOW]) / len(self.losses[:WINDOW])
            text += f"   step {self.train['step']:4}  loss {loss:6.3f} (first pass {first:.3f})"
            teachers = self.train.get("fusion", {}).get("teachers", {})
            text += "   pairs won " + " ".join(
                f"{name} {100 * won['diagonal']:.0f}%" for name, won in teachers.items())
        else:
            text += "   fitting the whitening of the teachers"
        print(text, flush=True)
        self.last, self.frames_at_last = now, self.frames

    def end(self):
        self.line()
        print("What came out:")
        for topic, count in sorted(self.topics.items()):
            print(f"  {count:6} messages  {topic}")


def live():
    show = Show()
    for line in sys.stdin:
        show.take(json.loads(line))
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


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ledger"]:
        ledger(sys.argv[2])
    else:
        live()
