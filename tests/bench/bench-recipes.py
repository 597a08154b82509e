#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast the recipes learn, and the share of it that the engine's own steps would take.

usage: bench-recipes.py BUILD OUT [--json FILE]

OUT is what graphs/train/train.py made: its sets and models. Each recipe learns STEPS steps as it is shipped, with decoding,
cutting, teachers, fusion, every loss and checkpoints; what counts is the wall time of the second half. Before and after it
bench-model times the transformers alone on the same numbers of images: the student's training step and its teachers'
inference, in bfloat16. The share is what of the recipe's time these need; the rest is data, heads and losses.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

STEPS = 120
REPEATS = 12
BATCH = 64
# name: what the engine computes for a batch; anchors see one view whole and a quarter of the words of the other
RECIPES = {
    "labels": [("train", "mini", 64, 2 * BATCH)],
    "captions": [("train", "mini", 64, 2 * BATCH)],
    "anchors": [("train", "mini", 48, BATCH), ("run", "anchors", BATCH)],
    "mini": [("train", "mini", 64, 2 * BATCH), ("run", "labels", 2 * BATCH), ("run", "captions", 2 * BATCH),
             ("run", "anchors", 2 * BATCH)],
}
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


def engine_seconds(build, out, kind, name, *sizes):
    """The median time of one pass."""
    what = str(out / "models" / name) if kind == "run" else name
    command = [build / "tests" / "bench" / "bench-model", kind, what, *map(str, sizes), str(os.cpu_count()), "bfloat16"]
    done = subprocess.run(command, input=f"3\n{REPEATS}\n", capture_output=True, text=True, check=True)
    numbers = [int(word) for word in done.stdout.splitlines()[-1].split()]
    return statistics.median(numbers) / 1e9


def recipe_seconds(build, out, name):
    """Of one step, from when each was published."""
    with tempfile.TemporaryDirectory(prefix="seed-") as folder:
        given = {"sets": out / "sets", "checkpoint": f"{folder}/model", "steps": STEPS, "endpoint": f"ipc://{folder}/results"}
        if name == "captions":
            given["text-model"] = os.environ.get("SEED_TEXT_MODEL", out / "text-model")
        if name == "mini":
            given.update(models=out / "models", whitening=out / "models" / "whitening.safetensors", calibration=BATCH)
        command = [build / "daemon" / "seed-run", "--quiet", SOURCE / "graphs" / f"train-{name}.yaml"]
        for key, value in given.items():
            command += ["--set", f"{key}={value}"]
        with open(f"{folder}/messages", "w+", encoding="utf-8") as messages, \
                subprocess.Popen([build / "daemon" / "seedctl", "tail", "--json", "--connect", given["endpoint"], ""],
                                 stdout=messages, stderr=subprocess.DEVNULL) as tail:
            subprocess.run(command, check=True)
            tail.terminate()
            tail.wait()
            messages.seek(0)
            times = {m["data"]["step"]: m["publish_ns"] for m in map(json.loads, messages)
                     if m["kind"] == "train" and "step" in m["data"]}
    first = min(step for step in times if step >= STEPS // 2)
    return (times[STEPS] - times[first]) / (STEPS - first) / 1e9


def main():
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    build, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    results = {}
    for name, parts in RECIPES.items():
        before = sum(engine_seconds(build, out, *part) for part in parts)
        step = recipe_seconds(build, out, name)
        engine = (before + sum(engine_seconds(build, out, *part) for part in parts)) / 2
        results[name] = {"images_per_s": BATCH / step, "engine_images_per_s": BATCH / engine, "share": engine / step}
        print(f"{name:9} {BATCH / step:6.0f} images/s   engine alone {BATCH / engine:6.0f}   share {engine / step:.2f}", flush=True)
    if len(sys.argv) == 5:
        pathlib.Path(sys.argv[4]).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
