#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shipped distillation graph on a folder of photos: the loss halves, and the student's
neighbours agree with the fused target's better than an untrained student's do."""
import os

import numpy as np

from harness import IMAGES, SOURCE, Run, assert_ledger_adds_up, of_kind, random_model, tap, write

STEPS = 250
NEIGHBOURS = 8

EMBED = """
version: 1
graph: look
parameters: {{ endpoint: "" }}
nodes:
  photos:  {{ stage: images, location: {images}, shuffle: false }}
  words:   {{ stage: patchify, from: photos, batch: 16 }}
  a:       {{ stage: teacher, from: words, model: {folder}/a }}
  b:       {{ stage: teacher, from: words, model: {folder}/b }}
  fused:   {{ stage: fusion, from: [a, b], strategy: concat, calibration: 2, whitening: {folder}/whitening }}
  trained: {{ stage: student, from: words, model: {folder}/trained }}
  raw:     {{ stage: student, from: words, model: {folder}/raw }}
  out:     {{ stage: publish, from: [fused, trained, raw], endpoint: "${{endpoint}}", wait-subscribers: 1 }}
"""


def distill(folder, name, *arguments):
    return Run(folder, os.path.join(SOURCE, "graphs", "distill.yaml"), "--set", "images=" + IMAGES,
               "--set", f"teacher-a={folder}/a", "--set", f"teacher-b={folder}/b", "--set",
               f"checkpoint={folder}/{name}", "--set", "batch=16", "--seed", "1",
               *arguments).finish()


def losses(run):
    return [m[1]["data"]["loss"]["similarity"] for m in of_kind(run.messages, "train")]


def vectors(messages, node):
    rows = sorted((m[1]["frame"], m[2][0]) for m in of_kind(messages, "embedding", node))
    return np.array([np.frombuffer(row, np.float32) for _, row in rows])


def neighbours(similarity):
    similarity = similarity.copy()
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1)[:, :NEIGHBOURS]


def agreement(one, other):
    return np.mean([len(set(x) & set(y)) for x, y in zip(one, other)]) / NEIGHBOURS


def max_min(fused):
    """The fused similarities of different images: the most sceptical of the two teachers."""
    half = fused.shape[1] // 2
    halves = [fused[:, :half], fused[:, half:]]
    units = [h / np.linalg.norm(h, axis=1, keepdims=True) for h in halves]
    return np.minimum(units[0] @ units[0].T, units[1] @ units[1].T)


def test_loss_halves_and_neighbours_agree(folder):
    for seed, name in enumerate("ab"):
        random_model(os.path.join(folder, name), size="mini", image_size=64, seed=seed)
    learned = losses(distill(folder, "trained", "--set", f"steps={STEPS}", "--set",
                             f"whitening={folder}/whitening"))
    assert len(learned) == STEPS, len(learned)
    start, end = np.mean(learned[:5]), np.mean(learned[-5:])
    print(f"# similarity loss {start:.3f} -> {end:.3f}")
    assert end < 0.5 * start, (start, end)

    distill(folder, "raw", "--set", "steps=1", "--set", "lr=0")
    run = Run(folder, write(os.path.join(folder, "embed.yaml"), EMBED.format(
        images=IMAGES, folder=folder))).finish()
    assert_ledger_adds_up(run.stats)
    target = neighbours(max_min(vectors(run.messages, "fused")))
    scores = {}
    for node in ("trained", "raw"):
        z = vectors(run.messages, node)
        assert len(z) == 96, z.shape
        scores[node] = agreement(neighbours(z @ z.T), target)
    print(f"# neighbours shared with the target's: {scores}")
    assert scores["trained"] > scores["raw"] + 0.03, scores


if __name__ == "__main__":
    tap.main([test_loss_halves_and_neighbours_agree])
