#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A graph learns image anchors from a folder of photos, and another says by them what photos show."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "system"))
# pylint: disable=wrong-import-position
from harness import (IMAGES, Run, assert_ledger_adds_up, assert_seq_without_gaps, of_kind, seed_run,
                     tap, write)

STEPS = 60

LEARN = """
version: 1
graph: anchors
parameters: {{ endpoint: "" }}
nodes:
  photos: {{ stage: images, location: {images}, epochs: 100, shuffle: true }}
  views:  {{ stage: patchify, from: photos, views: 2, batch: 24, augment: true, reference-view: true }}
  learn:  {{ stage: student, mode: train, from: views, objective: anchors, size: mini, image-size: 96,
            steps: {steps}, lr: 0.0005, checkpoint: {folder}/student }}
  out:    {{ stage: publish, from: learn, endpoint: "${{endpoint}}", wait-subscribers: 1 }}
"""

SERVE = """
version: 1
graph: look
parameters: {{ endpoint: "" }}
nodes:
  photos: {{ stage: images, location: {images}, epochs: 2, shuffle: false }}
  words:  {{ stage: patchify, from: photos, batch: 16 }}
  serve:  {{ stage: student, from: words, model: {folder}/student, heatmaps: true, events: "cuts,duplicates" }}
  out:    {{ stage: publish, from: serve, kinds: "embedding,anchors,event", endpoint: "${{endpoint}}",
            wait-subscribers: 1 }}
"""


def graph(folder, text, name, **values):
    return write(os.path.join(folder, name), text.format(images=IMAGES, folder=folder, **values))


def mean(reports, *keys):
    values = []
    for report in reports:
        for key in keys:
            report = report[key]
        values.append(report)
    return np.mean(values)


def learn_once(folder):
    run = Run(folder, graph(folder, LEARN, "learn.yaml", steps=STEPS), "--seed", "1").finish()
    assert_ledger_adds_up(run.stats)
    return run


def test_learns_and_serves(folder):
    run = learn_once(folder)
    reports = [m[1]["data"] for m in of_kind(run.messages, "train")]
    assert len(reports) == STEPS, len(reports)
    first, last = reports[:5], reports[-5:]
    for keys in (("loss", "anchors"), ("anchors", "assignment"), ("anchors", "word_location")):
        print(f"# {'.'.join(keys)}: {mean(first, *keys):.3f} -> {mean(last, *keys):.3f}")
    lowest = min(r["anchors"]["in_use"] for r in reports)
    print(f"# anchors in use: lowest {lowest:.1f}, at the end {mean(last, 'anchors', 'in_use'):.1f}")
    assert mean(last, "loss", "anchors") < mean(first, "loss", "anchors") - 0.1
    assert mean(last, "anchors", "assignment") < mean(first, "anchors", "assignment")
    # what a random head spreads, learning narrows down first and then spreads again
    assert mean(last, "anchors", "in_use") > max(lowest, 200), reports[-1]
    assert all(r["anchors"]["matched"] > 0 for r in reports)

    run = Run(folder, graph(folder, SERVE, "serve.yaml")).finish()
    assert_ledger_adds_up(run.stats)
    assert_seq_without_gaps(run.messages)
    results = of_kind(run.messages, "anchors")
    assert len(results) == 2 * 96 == len(of_kind(run.messages, "embedding")), len(results)
    for _, header, parts in results:
        assert [t["name"] for t in header["tensors"]] == ["histogram", "heatmaps"], header
        assert header["tensors"][1]["shape"] == [256, 6, 6], header
        assert header["data"]["grid"] == 6, header
        histogram = np.frombuffer(parts[0], np.float32)
        heat = np.frombuffer(parts[1], np.float32).reshape(256, 6, 6)
        assert abs(histogram.sum() - 1) < 1e-4
        assert np.allclose(heat.mean((1, 2)), histogram, atol=1e-5)
        entropy = -np.sum(histogram[histogram > 0] * np.log(histogram[histogram > 0]))
        assert abs(entropy - header["data"]["entropy"]) < 1e-3
    # the second time round every photo has been seen
    events = [m[1]["data"] for m in of_kind(run.messages, "event")]
    assert any(e["event"] == "near-duplicate" for e in events), events


def test_same_bits_twice(folder):
    losses = []
    for name in ("a", "b"):
        os.mkdir(os.path.join(folder, name))
        run = Run(folder, graph(os.path.join(folder, name), LEARN, "learn.yaml", steps=4), "--seed", "3",
                  "--deterministic").finish()
        losses.append([m[1]["data"]["loss"] for m in of_kind(run.messages, "train")])
    assert losses[0] == losses[1] and len(losses[0]) == 4, losses


def test_refused(folder):
    text = LEARN.replace("batch: 24", "batch: 8")
    done = seed_run(graph(folder, text, "small.yaml", steps=4), "--set",
                    "endpoint=ipc://" + folder + "/x", check=False)
    assert done.returncode == 1 and "16 distinct frames" in done.stderr, done.stderr


if __name__ == "__main__":
    tap.main([test_learns_and_serves, test_same_bits_twice, test_refused])
