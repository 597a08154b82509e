#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A graph that learns from a memory of two clips: twice the same, and across restarts and kills."""
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "system"))
# pylint: disable=wrong-import-position
from harness import (LIMIT, MEDIA, Run, assert_ledger_adds_up, of_kind, random_model, seed_run, tap,
                     write)

CLIPS = {"door": os.path.join(MEDIA, "realshort.mp4"), "yard": os.path.join(MEDIA, "magnet.ogv")}

LEARN = """
version: 1
graph: remember
parameters: {{ endpoint: "" }}
streams:
{streams}
nodes:
  frames:  {{ stage: decode, streams: all }}
  mix:     {{ stage: replay, from: frames, {replay} }}
  views:   {{ stage: patchify, from: mix, views: 2, batch: 4, augment: true }}
  a:       {{ stage: teacher, from: views, model: {folder}/a }}
  b:       {{ stage: teacher, from: views, model: {folder}/b }}
  fused:   {{ stage: fusion, from: [a, b], calibration: 12, duplicate-window-ms: 0 }}
  learn:   {{ stage: student, mode: train, from: views, target: fused, size: mini, image-size: 32, promote: always }}
  words:   {{ stage: patchify, from: frames }}
  student: {{ stage: student, mode: infer, from: words, follows: learn }}
  out:     {{ stage: publish, from: [student, learn], endpoint: "${{endpoint}}", wait-subscribers: 1 }}
"""


def learn_graph(folder, replay, options=""):
    for seed, name in enumerate("ab"):
        if not os.path.exists(os.path.join(folder, name)):
            random_model(os.path.join(folder, name), dim=48, depth=2, heads=3, image_size=32, seed=seed)
    streams = "\n".join(f"  {name}: {{ uri: {uri}{options} }}" for name, uri in CLIPS.items())
    return write(os.path.join(folder, "graph.yaml"),
                 LEARN.format(folder=folder, streams=streams, replay=replay))


def stage(stats, name):
    (found,) = [s for s in stats["stages"] if s["name"] == name]
    return found


def deterministic_run(folder, replay, seed):
    run = Run(folder, learn_graph(folder, replay), "--deterministic", "--seed", str(seed)).finish()
    assert_ledger_adds_up(run.stats)
    losses = [m[1]["data"]["loss"] for m in of_kind(run.messages, "train")]
    embeddings = [(m[0], m[1]["frame"], m[1]["model"]["step"], m[2][0])
                  for m in of_kind(run.messages, "embedding")]
    assert losses and embeddings
    return losses, embeddings, stage(run.stats, "mix")


def test_deterministic_twice(folder):
    replay = "capacity: 24, warm-up: 8, duplicate-likeness: 0.999, epilogue: 1"
    first = deterministic_run(folder, replay, 7)
    again = deterministic_run(folder, replay, 7)
    other = deterministic_run(folder, replay, 8)
    assert first[:2] == again[:2]
    assert first[2]["stats"] == again[2]["stats"]
    assert first[0] != other[0]
    mix = first[2]
    frames = len(first[1])  # one embedding for each that was decoded
    live, replayed = mix["stats"]["live"], mix["stats"]["replayed"]
    # a batch has two live frames or more: the follower is a batch of frames behind, not half the run
    newest = max(e[2] for e in first[1])
    assert newest >= 0.4 * frames, (newest, frames)
    held = mix["stats"]["held"]
    assert live == frames, (live, frames)
    assert held == 24 and set(mix["stats"]["streams"]) == set(CLIPS), mix["stats"]
    assert live / 2 < replayed - held <= live, mix["stats"]
    assert sum(e["in"] for e in mix["ledger"].values()) == live + replayed, mix
    for entry in mix["ledger"].values():
        assert entry["in"] == entry["out"] and entry["in_flight"] == 0, mix


def test_killed_run_remembers(folder):
    spool = os.path.join(folder, "frames.spool")
    replay = "capacity: 40, warm-up: 8, duplicate-likeness: 1, spool: frames.spool"
    graph = learn_graph(folder, replay, ", loop: true")
    run = Run(folder, graph)
    end = time.monotonic() + LIMIT
    while len(of_kind(list(run.subscriber.messages), "train")) < 20:
        assert run.process.poll() is None and time.monotonic() < end, run.process.poll()
        run.subscriber.join(0.05)
    assert os.path.getsize(spool) > 40 * 1000
    run.process.kill()
    run.process.communicate()
    run.subscriber.finish()
    assert run.process.returncode == -signal.SIGKILL

    run = Run(folder, learn_graph(folder, replay)).finish()
    mix = stage(run.stats, "mix")
    assert mix["stats"]["held"] == 40, mix["stats"]
    assert mix["stats"]["replayed"] == mix["stats"]["live"], mix["stats"]  # warm from the first frame
    seen = sum(s["seen"] for s in mix["stats"]["streams"].values())
    assert seen > mix["stats"]["live"] + 40, (seen, mix["stats"])
    assert_ledger_adds_up(run.stats)


def test_check_leaves_no_file(folder):
    graph = learn_graph(folder, "spool: frames.spool")
    seed_run("--check", graph, "--set", "endpoint=ipc://" + folder + "/x")
    assert not os.path.exists(os.path.join(folder, "frames.spool"))


def test_broken_spool_named(folder):
    graph = learn_graph(folder, "spool: frames.spool")
    path = write(os.path.join(folder, "frames.spool"), "something somebody wants to keep\n")
    done = seed_run(graph, "--set", "endpoint=ipc://" + folder + "/x", check=False)
    assert done.returncode == 1, done.returncode
    assert path in done.stderr and "byte 0" in done.stderr and "mix" in done.stderr, done.stderr
    with open(path, encoding="utf-8") as text:
        assert text.read() == "something somebody wants to keep\n"


def test_deterministic_refuses_timing(folder):
    for replay, word in (("stride: auto", "stride"), ("duplicates: drop", "duplicates")):
        done = seed_run("--check", "--deterministic", learn_graph(folder, replay), check=False)
        assert done.returncode == 1 and word in done.stderr, done.stderr
    done = seed_run("--check", learn_graph(folder, "stride: 7"), check=False)
    assert done.returncode == 1 and "one of 0, auto" in done.stderr, done.stderr


def test_stride_counts_what_it_leaves_out(folder):
    run = Run(folder, learn_graph(folder, "stride: auto, live-share: 1, min-stride: 4")).finish()
    assert_ledger_adds_up(run.stats)
    mix = stage(run.stats, "mix")
    for stream, entry in mix["ledger"].items():
        assert entry["out"] == -(-entry["in"] // 4), (stream, entry)
        assert entry["dropped"]["stride"] == entry["in"] - entry["out"], (stream, entry)


def test_stride_follows_the_student(folder):
    """The student's agreement finds its way up through patchify, queues and forks."""
    run = Run(folder, learn_graph(
        folder, "stride: auto, live-share: 1, min-stride: 1, max-stride: 4, agree: 0")).finish()
    assert_ledger_adds_up(run.stats)
    reports = [m[1]["data"] for m in of_kind(run.messages, "train")]
    assert reports and all(0 <= r["agreement"] <= 1 for r in reports), reports[:3]
    strides = {s: v["stride"] for s, v in stage(run.stats, "mix")["stats"]["streams"].items()}
    assert set(strides.values()) == {4}, strides


if __name__ == "__main__":
    tap.main([test_deterministic_twice, test_killed_run_remembers, test_check_leaves_no_file,
              test_broken_spool_named, test_deterministic_refuses_timing,
              test_stride_counts_what_it_leaves_out, test_stride_follows_the_student])
