#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One graph from a real clip to a subscriber in another language: what arrives, twice the same."""
import os
import signal
import struct

from harness import (MEDIA, Run, assert_ledger_adds_up, assert_seq_without_gaps, of_kind,
                     random_model, seed_run, tap, write)

CLIP = os.path.join(MEDIA, "realshort.mp4")
CLIP_FRAMES = 36

LEARN_AND_SERVE = """
version: 1
graph: lobby
parameters: {{ endpoint: "" }}
streams:
{streams}
nodes:
  frames:  {{ stage: decode, streams: all }}
  views:   {{ stage: patchify, from: frames, views: 2, batch: 4, augment: true }}
  a:       {{ stage: teacher, from: views, model: {folder}/a }}
  b:       {{ stage: teacher, from: views, model: {folder}/b }}
  fused:   {{ stage: fusion, from: [a, b], calibration: 12, duplicate-window-ms: 0 }}
  learn:   {{ stage: student, mode: train, from: views, target: fused, size: mini, image-size: 32 }}
  words:   {{ stage: patchify, from: frames }}
  student: {{ stage: student, mode: infer, from: words, follows: learn }}
  out:     {{ stage: publish, from: [student, learn], endpoint: "${{endpoint}}", wait-subscribers: 1 }}
"""


FEATURES = """
version: 1
graph: features
parameters: {{ endpoint: "" }}
streams:
  door: {{ uri: {clip}, passes: 2 }}
nodes:
  frames:  {{ stage: decode, streams: all }}
  views:   {{ stage: patchify, from: frames, views: 2, batch: 4, augment: true }}
  a:       {{ stage: teacher, from: views, model: {folder}/a, tokens: true }}
  b:       {{ stage: teacher, from: views, model: {folder}/b }}
  fused:   {{ stage: fusion, from: [a, b], calibration: 12, duplicate-window-ms: 0 }}
  learn:   {{ stage: student, mode: train, from: views, {inputs}, size: mini, image-size: 32,
             calibration: 24, queue-size: 32, precision: float32, checkpoint: {folder}/out,
             queue: {{ frames: 1 }} }}
  out:     {{ stage: publish, from: learn, endpoint: "${{endpoint}}", wait-subscribers: 1 }}
"""


def learn_and_serve(folder, streams):
    for seed, name in enumerate("ab"):
        random_model(os.path.join(folder, name), dim=48, depth=2, heads=3, image_size=32, seed=seed)
    text = LEARN_AND_SERVE.format(folder=folder, streams="\n".join(
        f"  {name}: {{ uri: {uri} }}" for name, uri in streams.items()))
    return write(os.path.join(folder, "graph.yaml"), text)


def floats(part):
    return struct.unpack(f"<{len(part) // 4}f", part)


def test_one_message_per_frame(folder):
    run = Run(folder, learn_and_serve(folder, {"door": CLIP})).finish()
    embeddings = of_kind(run.messages, "embedding")
    assert len(embeddings) == CLIP_FRAMES, len(embeddings)
    assert_seq_without_gaps(run.messages)
    for number, (topic, header, parts) in enumerate(embeddings):
        assert topic == "lobby/door/embedding/student/", topic
        assert header["v"] == 1 and header["graph"] == "lobby" and header["node"] == "student"
        assert header["frame"] == number and header["stream"] == "door"
        assert header["publish_ns"] >= header["capture_ns"] > 1.6e18
        assert isinstance(header["pts_ns"], int)
        assert header["model"]["name"] == "learn"
        (tensor,) = header["tensors"]
        assert tensor["name"] == "embedding" and tensor["dtype"] == "float32"
        assert tensor["shape"] == [512] and tensor["part"] == 2
        values = floats(parts[0])
        assert len(values) == 512 and abs(sum(v * v for v in values) - 1) < 1e-4
    trains = of_kind(run.messages, "train")
    assert [t[1]["data"]["step"] for t in trains] == list(range(1, 7)), len(trains)  # (36-12)/4
    for topic, header, _ in trains:
        assert topic == "lobby/-/train/learn/"
        shares = header["data"]["fusion"]["teachers"]
        assert set(shares) == {"a", "b"}
        assert abs(sum(s["diagonal"] for s in shares.values()) - 1) < 1e-6
    assert_ledger_adds_up(run.stats)
    assert of_kind(run.messages, "event"), "no stream-up"


def deterministic_run(folder, graph, seed):
    run = Run(folder, graph, "--deterministic", "--seed", str(seed)).finish()
    losses = [m[1]["data"]["loss"] for m in of_kind(run.messages, "train")]
    embeddings = [(m[0], m[1]["frame"], m[1]["model"]["step"], m[2][0])
                  for m in of_kind(run.messages, "embedding")]
    assert losses and embeddings
    return losses, embeddings


def learn_features(folder, inputs):
    for seed, name in enumerate("ab"):
        random_model(os.path.join(folder, name), dim=48, depth=2, heads=3, image_size=48, seed=seed)
    graph = write(os.path.join(folder, "features.yaml"), FEATURES.format(
        folder=folder, inputs=inputs, clip=CLIP))
    run = Run(folder, graph, "--seed", "3").finish()
    assert_ledger_adds_up(run.stats)
    return [m[1]["data"] for m in of_kind(run.messages, "train")]


def test_features_of_teachers(folder):
    """Two teachers of another geometry, one with tokens, beside the fused target: every term is
    there, queues of one batch do not lock up, and a second run goes on from the checkpoint."""
    steps = learn_features(folder, "target: fused, teachers: [a, b]")
    # 72 frames in batches of 4; 24 frames are standardised by, the fusion was ready before
    assert [s["step"] for s in steps] == list(range(1, 13)), steps
    for step in steps:
        assert set(step["loss"]) == {"total", "similarity", "seed", "features"}, step
        assert set(step["teachers"]) == {"a", "b"}, step
        assert "tokens" in step["teachers"]["a"] and "tokens" not in step["teachers"]["b"], step
    again = learn_features(folder, "target: fused, teachers: [a, b]")
    # whitening is fitted anew, standardisation is not
    assert [s["step"] for s in again] == list(range(13, 13 + 15)), again


def test_teachers_without_fusion(folder):
    steps = learn_features(folder, "teachers: [b]")
    assert len(steps) == 12, len(steps)
    assert set(steps[-1]["loss"]) == {"total", "seed", "features"}, steps[-1]


def test_deterministic_twice(folder):
    graph = learn_and_serve(folder, {"door": CLIP, "yard": os.path.join(MEDIA, "magnet.ogv")})
    first = deterministic_run(folder, graph, 7)
    again = deterministic_run(folder, graph, 7)
    other = deterministic_run(folder, graph, 8)
    assert first == again
    assert first[0] != other[0]
    # it really served while it learned: later frames were embedded by later weights
    steps = [step for _, _, step, _ in first[1]]
    assert steps == sorted(steps) and len(set(steps)) > 3, steps


def test_bad_stream_leaves_the_others(folder):
    write(os.path.join(folder, "text.mp4"), "this is no video\n" * 50)
    with open(CLIP, "rb") as clip, open(os.path.join(folder, "short.mp4"), "wb") as out:
        out.write(clip.read()[:20000])
    graph = learn_and_serve(folder, {
        "good": CLIP, "gone": "file:///nonexistent/clip.mp4", "text": folder + "/text.mp4",
        "cut": folder + "/short.mp4"})
    run = Run(folder, graph).finish()
    assert len([m for m in of_kind(run.messages, "embedding") if m[1]["stream"] == "good"]) == CLIP_FRAMES
    for stream in ("gone", "text"):
        assert any("frames" in line and stream in line for line in run.stderr.splitlines()), run.stderr
    downs = {m[1]["stream"] for m in of_kind(run.messages, "event")
             if m[1]["data"]["event"] == "stream-down"}
    assert {"gone", "text", "good"} <= downs, downs
    assert_ledger_adds_up(run.stats)


def test_all_streams_bad_fails(folder):
    graph = learn_and_serve(folder, {"gone": "file:///nonexistent/clip.mp4"})
    run = Run(folder, graph, "--set", "endpoint=ipc://" + folder + "/x").finish(expect=1)
    assert "gone" in run.stderr and "frames" in run.stderr, run.stderr


def test_truncated_teacher_named(folder):
    graph = learn_and_serve(folder, {"door": CLIP})
    path = os.path.join(folder, "b", "model.safetensors")
    with open(path, "r+b") as weights:
        weights.truncate(os.path.getsize(path) // 2)
    done = seed_run(graph, "--set", "endpoint=ipc://" + folder + "/x", check=False)
    assert done.returncode == 1, done.returncode
    assert "model.safetensors" in done.stderr, done.stderr


def test_interrupted_run_drains(folder):
    graph = learn_and_serve(folder, {"door": CLIP})
    with open(graph, encoding="utf-8") as text:
        looping = text.read().replace(f"uri: {CLIP}", f"uri: {CLIP}, loop: true")
    run = Run(folder, write(graph, looping))
    while len(run.subscriber.messages) < 60:  # well into the second round; bounded by the harness
        if run.process.poll() is not None:
            raise AssertionError(run.process.stderr.read())
        run.subscriber.join(0.05)
    run.process.send_signal(signal.SIGTERM)
    run.finish(expect=0)
    assert_ledger_adds_up(run.stats)
    for stage in run.stats["stages"]:
        for entry in stage["ledger"].values():
            assert entry["in_flight"] == 0, stage


if __name__ == "__main__":
    tap.main([test_one_message_per_frame, test_features_of_teachers, test_teachers_without_fusion,
              test_deterministic_twice, test_bad_stream_leaves_the_others,
          test_all_streams_bad_fails, test_truncated_teacher_named, test_interrupted_run_drains])
