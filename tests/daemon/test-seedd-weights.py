#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Weights by order: what seedctl promote and rollback do reaches those who serve, to the bit. Speaks TAP."""
import os

from seedd_harness import Daemon, Subscriber, assert_adds_up, of_kind, tap, wait_for
from harness import IMAGES, random_model

# Two processes: one that learns and serves, one that serves what the first promotes. The served pictures are
# the same few over and over, so that one of them can be compared with itself.
LEARN = """version: 1
graph: learn
nodes:
  photos: {{ stage: images, location: {images}, epochs: 0, seed: 3, max-fps: 40 }}
  views: {{ stage: patchify, from: photos, views: 2, batch: 4, augment: true }}
  a: {{ stage: teacher, from: views, model: {folder}/a }}
  b: {{ stage: teacher, from: views, model: {folder}/b }}
  fused: {{ stage: fusion, from: [a, b], calibration: 18, duplicate-window-ms: 0 }}
  learn: {{ stage: student, mode: train, from: views, target: fused, size: mini, image-size: 32, queue-size: 64, lr: 0.001, warmup: 1, checkpoint: {folder}/out, checkpoint-every: 4, promote: manual, keep: 3 }}
  again: {{ stage: images, location: {images}, epochs: 0, shuffle: false, max-fps: 20 }}
  words: {{ stage: patchify, from: again }}
  student: {{ stage: student, from: words, follows: learn }}
  out: {{ stage: publish, from: [student, learn] }}
"""
SERVE = """version: 1
graph: serve
nodes:
  photos: {{ stage: images, location: {images}, epochs: 0, shuffle: false, max-fps: 20 }}
  words: {{ stage: patchify, from: photos }}
  student: {{ stage: student, from: words, model: {folder}/out, watch: true }}
  out: {{ stage: publish, from: student }}
"""


N_PICTURES = sum(name.endswith((".jpg", ".jpeg", ".png")) for _, _, names in os.walk(IMAGES) for name in names)
BOTH = ("learn", "serve")


class Served:
    """What the student of each graph says of each picture, and by which weights."""

    def __init__(self, daemon):
        self.subscriber, self.taken = Subscriber(daemon.results), 0
        self.said = {}  # (graph, sha256) -> {number of the picture: {embedding}}
        self.last = {}  # graph -> (sha256, frame)

    def take(self):
        messages = self.subscriber.messages
        end = len(messages)
        for _, header, parts in of_kind(messages[self.taken:end], "embedding", "student"):
            by = header["graph"], header["model"]["sha256"]
            self.said.setdefault(by, {}).setdefault(header["frame"] % N_PICTURES, set()).add(parts[0])
            self.last[header["graph"]] = (header["model"]["sha256"], header["frame"])
        self.taken = end
        return self.last

    def wait(self, sha):
        """Until these weights serve in both graphs, and have seen every picture since."""
        wait_for(lambda: all(self.take().get(g, ("", 0))[0] == sha for g in BOTH), f"{sha[:8]} serves; {self.last}")
        since = {g: self.last[g][1] for g in BOTH}
        wait_for(lambda: all(self.take()[g][1] > since[g] + N_PICTURES for g in BOTH), "every picture")
        assert all(self.last[g][0] == sha for g in BOTH), self.last

    def event(self, what, n=1):
        def there():
            found = [m[1]["data"] for m in of_kind(list(self.subscriber.messages), "event")
                     if m[1]["graph"] == "learn" and m[1]["data"]["event"] == what]
            return found[n - 1:n]
        return wait_for(there, f"event {what}")[0]


def order(daemon, what):
    """A generation is read and its sums are compared first: on a busy machine the answer may come too late."""
    done = daemon.ctl(what, "learn", expect=None)
    assert (done.returncode == 0 and "learn" in done.stdout) or "does not answer" in done.stderr, done


def test_promote_and_rollback_reach_those_who_serve(folder):
    for seed, name in enumerate("ab"):
        random_model(f"{folder}/{name}", image_size=32, patch_size=16, dim=48, depth=1, heads=3, seed=seed)
    with Daemon(folder, {"learn": LEARN.format(folder=folder, images=IMAGES)}) as daemon:
        served = Served(daemon)
        first = served.event("promoted")["sha256"]  # of a student that never was: at once
        daemon.write("serve", SERVE.format(folder=folder, images=IMAGES))
        served.wait(first)
        order(daemon, "promote")
        second = served.event("promoted", 2)["sha256"]
        served.wait(second)
        order(daemon, "rollback")
        assert served.event("rolled-back")["sha256"] == first != second
        served.wait(first)
        for graph in BOTH:
            old, new = served.said[graph, first], served.said[graph, second]
            assert len(old) == len(new) == N_PICTURES, (graph, len(old), len(new))
            for picture in old:
                assert len(old[picture]) == 1, f"{graph}: picture {picture} is another after the rollback"
                assert len(new[picture]) == 1 and new[picture] != old[picture], (graph, picture)
            assert_adds_up(daemon.ask("stats", graph))
            assert daemon.graph(graph)["restarts"] == 0
        assert served.said["learn", first] == served.said["serve", first], "one model in two processes"
        served.subscriber.finish()
        seconds = daemon.stop()
        print(f"# stopped after {seconds:.2f} s")
        assert not os.path.exists(folder + "/run/control")


if __name__ == "__main__":
    tap.main([test_promote_and_rollback_reach_those_who_serve])
