#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A learner that is killed at any moment goes on as if it had not been; what serves is only ever
replaced by what scores no worse; a serving process takes up what a learning one promotes."""
import errno
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import time

from harness import (BUILD, IMAGES, LIMIT, MEDIA, SEED_RUN, Run, Subscriber, assert_ledger_adds_up, of_kind,
                     random_model, seed_run, tap, write)

STEPS = 64
KILLS = int(os.environ.get("SEED_KILLS", "20"))
IO_ERRORS = os.path.join(BUILD, "tests", "tools", "io-errors.so")
EVERY = 4

SOURCES = {
    "images": "photos: {{ stage: images, location: {images}, epochs: 0, seed: 3 }}".format(images=IMAGES),
    "decode": "photos: { stage: decode, streams: all }",
}
LEARN = """
version: 1
graph: learn
parameters: {{ endpoint: "", steps: {steps}, every: {every}, lr: "0.0005", promote: auto }}
{streams}
nodes:
  {source}
  views:  {{ stage: patchify, from: photos, views: 2, batch: 4, augment: true }}
  a:      {{ stage: teacher, from: views, model: {folder}/a }}
  b:      {{ stage: teacher, from: views, model: {folder}/b, tokens: true }}
  fused:  {{ stage: fusion, from: [a, b], calibration: 18, whitening: {folder}/whitening, duplicate-window-ms: 0 }}
  learn:  {{ stage: student, mode: train, from: views, target: fused, teachers: [a, b], size: mini, image-size: 32,
            calibration: 30, queue-size: 64, precision: float32, steps: "${{steps}}", lr: "${{lr}}", warmup: 5,
            checkpoint: {folder}/out, checkpoint-every: "${{every}}", promote: "${{promote}}", probe: 12, keep: 3 }}
  out:    {{ stage: publish, from: learn, endpoint: "${{endpoint}}", wait-subscribers: 1 }}
"""
SERVE = """
version: 1
graph: serve
parameters: {{ endpoint: "" }}
nodes:
  photos:  {{ stage: images, location: {images}, epochs: 0, max-fps: 20 }}
  words:   {{ stage: patchify, from: photos }}
  student: {{ stage: student, from: words, model: {folder}/out, watch: true }}
  out:     {{ stage: publish, from: student, endpoint: "${{endpoint}}" }}
"""


def models(folder):
    for seed, name in enumerate("ab"):
        if not os.path.exists(os.path.join(folder, name)):
            random_model(os.path.join(folder, name), dim=48, depth=2, heads=3, image_size=32, seed=seed)


def graph(folder, source="images"):
    models(folder)
    streams = f"streams:\n  clip: {{ uri: {MEDIA}/realshort.mp4, loop: true }}" if source == "decode" else ""
    return write(os.path.join(folder, "learn.yaml"), LEARN.format(
        folder=folder, source=SOURCES[source], streams=streams, steps=STEPS, every=EVERY))


def losses(messages):
    return {m[1]["data"]["step"]: m[1]["data"]["loss"] for m in of_kind(messages, "train")}


def events(messages, what):
    return [m[1]["data"] for m in of_kind(messages, "event") if m[1]["data"]["event"] == what]


def served(folder):
    return os.readlink(os.path.join(folder, "out", "current"))


def digest(folder):
    with open(os.path.join(folder, "out", "current", "model.safetensors"), "rb") as model:
        return hashlib.sha256(model.read()).hexdigest()


def clear(folder):
    shutil.rmtree(os.path.join(folder, "out"), ignore_errors=True)
    if os.path.exists(os.path.join(folder, "whitening")):
        os.unlink(os.path.join(folder, "whitening"))


def killed_run(folder, path, draw):
    """Starts a learner and kills it: some at once, some after a number of steps or soon after one."""
    endpoint = "ipc://" + os.path.join(folder, "k%x.ipc" % time.monotonic_ns())
    subscriber = Subscriber(endpoint)
    process = subprocess.Popen([SEED_RUN, path, "--quiet", "--deterministic", "--seed", "1", "--set",
                                "endpoint=" + endpoint], stderr=subprocess.PIPE, text=True)
    wanted, begin = draw.randrange(7), time.monotonic()
    while process.poll() is None and len(of_kind(list(subscriber.messages), "train")) < wanted:
        assert time.monotonic() < begin + LIMIT, "no step came"
        time.sleep(0.002)
    pause = draw.random() * (0.6 if wanted == 0 else 0.03)  # the moment is drawn: nothing is waited for
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode in (0, -signal.SIGKILL), errors
    assert "error" not in errors.lower(), errors
    return losses(subscriber.finish())


def check_killed(folder, source, kills):
    path = graph(folder, source)
    arguments = ("--deterministic", "--seed", "1")
    whole = Run(folder, path, *arguments).finish()
    expected, model = losses(whole.messages), digest(folder)
    assert sorted(expected) == list(range(1, STEPS + 1)), sorted(expected)
    assert_ledger_adds_up(whole.stats)
    clear(folder)
    draw, seen = random.Random(5), 0
    for _ in range(kills):
        for step, loss in killed_run(folder, path, draw).items():
            assert loss == expected[step], (step, loss, expected[step])
            seen += 1
    rest = losses(Run(folder, path, *arguments).finish().messages)
    assert all(rest[step] == expected[step] for step in rest), rest
    assert max(rest, default=STEPS) == STEPS
    assert digest(folder) == model
    print(f"# {source}: {kills} kills, {seen} steps seen before them, {len(rest)} after the last")
    return seen


def test_killed_and_resumed_learns_the_same(folder):
    assert check_killed(folder, "images", KILLS) > KILLS


def test_killed_on_a_video(folder):
    assert check_killed(folder, "decode", 5) > 0


def test_worse_is_not_promoted(folder):
    """After a good start a learning rate that ruins the weights: candidates are saved, and counted,
    but what serves stays what it was, to the byte."""
    path = graph(folder)
    run = Run(folder, path, "--set", "steps=40", "--set", "every=40", "--seed", "1").finish()
    (first,) = events(run.messages, "promoted")
    assert first["step"] == 40 and first["sha256"] == digest(folder), first
    before = served(folder)
    run = Run(folder, path, "--set", "steps=80", "--set", "every=8", "--set", "lr=0.5", "--seed", "1").finish()
    assert not events(run.messages, "promoted"), events(run.messages, "promoted")
    assert served(folder) == before and digest(folder) == first["sha256"]
    (learn,) = [s for s in run.stats["stages"] if s["node"] == "learn"]
    assert learn["stats"]["rejected"] >= 4 and learn["stats"]["promoted"] == 0, learn["stats"]


def wait_for(subscriber, what, condition):
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        for message in list(subscriber.messages):
            if message[1]["kind"] == what and condition(message[1]):
                return message[1]
        time.sleep(0.01)
    raise AssertionError(f"no {what} came")


def test_another_process_takes_it_up(folder):
    path = graph(folder)
    Run(folder, path, "--set", "steps=8", "--set", "every=8").finish()
    first = digest(folder)
    endpoint = "ipc://" + os.path.join(folder, "serve.ipc")
    subscriber = Subscriber(endpoint)
    server = subprocess.Popen([SEED_RUN, write(os.path.join(folder, "serve.yaml"), SERVE.format(
        folder=folder, images=IMAGES)), "--quiet", "--set", "endpoint=" + endpoint], stderr=subprocess.PIPE,
        text=True)
    try:
        seen = wait_for(subscriber, "embedding", lambda m: m["model"]["sha256"] == first)
        assert seen["model"]["step"] == 8, seen
        Run(folder, path, "--set", "steps=16", "--set", "every=8", "--set", "promote=always").finish()
        second = digest(folder)
        assert second != first
        seen = wait_for(subscriber, "embedding", lambda m: m["model"]["sha256"] == second)
        assert seen["model"]["step"] == 16, seen
        wait_for(subscriber, "event", lambda m: m["data"]["event"] == "promoted"
                 and m["data"]["sha256"] == second)
        # one that is damaged is refused, and what served goes on
        out = os.path.join(folder, "out")
        shutil.copytree(os.path.join(out, served(folder)), os.path.join(out, "generation-00000099"))
        with open(os.path.join(out, "generation-00000099", "model.safetensors"), "r+b") as model:
            model.seek(-64, os.SEEK_END)
            model.write(b"\xff" * 64)
        os.symlink("generation-00000099", os.path.join(out, ".link"))
        os.rename(os.path.join(out, ".link"), os.path.join(out, "current"))
        wait_for(subscriber, "event", lambda m: m["data"]["event"] == "alarm")
        count = len(subscriber.messages)
        while len(of_kind(list(subscriber.messages[count:]), "embedding")) < 3:
            assert server.poll() is None, "the server ended"
            time.sleep(0.01)
        for _, header, _ in of_kind(list(subscriber.messages[count:]), "embedding"):
            assert header["model"]["sha256"] == second, header
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=LIMIT)
        subscriber.finish()
    assert server.returncode == 0


def test_full_disk(folder):
    """No file may grow while the disk is full: learning goes on, what was saved stays whole, one alarm
    is given, and checkpoints go on when there is room."""
    path = graph(folder)
    endpoint = "ipc://" + os.path.join(folder, "full.ipc")
    subscriber = Subscriber(endpoint)
    learner = subprocess.Popen(
        [SEED_RUN, path, "--quiet", "--set", "endpoint=" + endpoint, "--set", "steps=0", "--set", "every=2",
         "--set", "promote=always"], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
    step_after = lambda step: wait_for(subscriber, "train", lambda m: m["data"]["step"] > step)["data"]["step"]
    try:
        wait_for(subscriber, "event", lambda m: m["data"]["event"] == "promoted")
        resource.prlimit(learner.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        alarm = wait_for(subscriber, "event", lambda m: m["data"]["event"] == "alarm")
        assert "out" in alarm["data"]["reason"], alarm
        kept = served(folder)
        last = max(losses(list(subscriber.messages)))
        assert step_after(last + 6) > last
        assert served(folder) == kept
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], check=True,
                       cwd=os.path.join(folder, "out", kept))
        resource.prlimit(learner.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        last = max(losses(list(subscriber.messages)))
        wait_for(subscriber, "event", lambda m: m["data"]["event"] == "promoted" and m["data"]["step"] > last)
        assert served(folder) != kept
    finally:
        learner.send_signal(signal.SIGTERM)
        _, errors = learner.communicate(timeout=LIMIT)
    assert learner.returncode == 0, errors
    assert len(events(subscriber.finish(), "alarm")) == 1, errors
    assert not os.path.exists(os.path.join(folder, "out", ".generation"))


def broken_disk(folder, call, number):
    """One call fails with one error at every checkpoint: the last good one survives, learning goes on, one
    alarm is published, and checkpoints go on when the disk is well again."""
    path, control = graph(folder), os.path.join(folder, "errors")
    clear(folder)
    out = os.path.join(folder, "out")
    endpoint = "ipc://" + os.path.join(folder, f"{call}{number}.ipc")
    subscriber = Subscriber(endpoint)
    if os.path.exists(control):
        os.unlink(control)
    learner = subprocess.Popen(
        [SEED_RUN, path, "--quiet", "--set", "endpoint=" + endpoint, "--set", "steps=0", "--set", "every=2",
         "--set", "promote=always", "--drain", "120"], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "LD_PRELOAD": IO_ERRORS, "SEED_IO_ERRORS": control})
    last = lambda: max(losses(list(subscriber.messages)))
    after = lambda step: wait_for(subscriber, "train", lambda m: m["data"]["step"] > step)
    try:
        wait_for(subscriber, "event", lambda m: m["data"]["event"] == "promoted")
        write(control + ".new", f"{call} {number} {out}\n")
        os.rename(control + ".new", control)
        alarm = wait_for(subscriber, "event", lambda m: m["data"]["event"] == "alarm")
        assert os.strerror(number) in alarm["data"]["reason"], alarm
        kept = served(folder)
        after(last() + 6)
        assert served(folder) == kept and learner.poll() is None
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], check=True, cwd=os.path.join(out, kept))
        os.unlink(control)
        step = last()
        wait_for(subscriber, "event", lambda m: m["data"]["event"] == "promoted" and m["data"]["step"] > step)
    finally:
        learner.send_signal(signal.SIGTERM)
        _, errors = learner.communicate(timeout=LIMIT)
    assert learner.returncode == 0, errors
    assert len(events(subscriber.finish(), "alarm")) == 1, errors
    print(f"# {call}: {os.strerror(number)}: kept {kept}")


def test_broken_disk(folder):
    with open(SEED_RUN, "rb") as program:
        if b"__asan_init" in program.read():
            raise tap.Skip("a sanitizer must be loaded before anything else")
    for call, number in (("write", errno.ENOSPC), ("write", errno.EIO), ("fsync", errno.EIO), ("rename", errno.EIO)):
        broken_disk(folder, call, number)


if __name__ == "__main__":
    tap.main([test_killed_and_resumed_learns_the_same, test_killed_on_a_video, test_worse_is_not_promoted,
              test_full_disk, test_broken_disk, test_another_process_takes_it_up])
