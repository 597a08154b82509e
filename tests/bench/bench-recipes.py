#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast the recipes learn, and the share of it that the engine's own steps would take.

usage: bench-recipes.py BUILD OUT [--steps N] [--json FILE] [RECIPE ...]

OUT is what graphs/train/train.py made: its sets and models. Each recipe learns N steps (120) as it is shipped, with decoding,
cutting, teachers, fusion, every loss and checkpoints; what counts is the wall time of the last LAST. Images are decoded when
they are met for the first time and kept, so it takes an epoch, some 2,000 steps, to see what a long run sees. Before and after it
bench-model times the transformers alone on the same numbers of images: the student's training step and its teachers'
inference, in bfloat16. The share is what of the recipe's time these need; the rest is data, heads and losses.

The last column says whether data starves the learner: the part of all processor time there was in these steps which the
process spent on other things than making images and views of them. What is missing to 1 went to these, or a core waited.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

LAST = 60  # steps that are measured
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
DATA_THREADS = ("seed-images", "images:")  # their names begin with these
TICK = os.sysconf("SC_CLK_TCK")
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


def engine_seconds(build, out, kind, name, *sizes):
    """The median time of one pass."""
    what = str(out / "models" / name) if kind == "run" else name
    command = [build / "tests" / "bench" / "bench-model", kind, what, *map(str, sizes), str(os.cpu_count()), "bfloat16"]
    done = subprocess.run(command, input=f"3\n{REPEATS}\n", capture_output=True, text=True, check=True)
    numbers = [int(word) for word in done.stdout.splitlines()[-1].split()]
    return statistics.median(numbers) / 1e9


class Times(threading.Thread):
    """What each thread of a process has used, again and again: (ns of the day, {thread: (name, seconds)})."""

    def __init__(self, pid):
        super().__init__()
        self.folder, self.seen, self.stopping = pathlib.Path(f"/proc/{pid}/task"), [], threading.Event()
        self.start()

    def run(self):
        while not self.stopping.wait(0.05):
            used = {}
            for task in self.folder.glob("*/stat"):
                try:
                    name, fields = task.read_text(encoding="utf-8").split("(", 1)[1].rsplit(")", 1)
                except (OSError, IndexError):  # it has just ended
                    continue
                used[task] = name, sum(map(int, fields.split()[11:13])) / TICK
            self.seen.append((time.time_ns(), used))

    def learning(self, begin, end):
        """The share of all cores' time between two moments that was not spent on data."""
        (first, before), (last, after) = (min(self.seen, key=lambda s: abs(s[0] - t)) for t in (begin, end))
        spent = sum(seconds - before.get(task, (name, 0))[1] for task, (name, seconds) in after.items()
                    if not name.startswith(DATA_THREADS))
        return spent / ((last - first) / 1e9 * os.cpu_count())


def run_recipe(build, out, name, steps):
    """Seconds of one step, from when each was published, and the share of processor time that was spent on learning."""
    with tempfile.TemporaryDirectory(prefix="seed-") as folder:
        given = {"sets": out / "sets", "checkpoint": f"{folder}/model", "steps": steps, "endpoint": f"ipc://{folder}/results"}
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
            with subprocess.Popen(command) as run:
                clock = Times(run.pid)
                result = run.wait()
                clock.stopping.set()
                clock.join()
            tail.terminate()
            tail.wait()
            if result != 0:
                sys.exit(f"{name} failed")
            messages.seek(0)
            times = {m["data"]["step"]: m["publish_ns"] for m in map(json.loads, messages)
                     if m["kind"] == "train" and "step" in m["data"]}
    first = min(step for step in times if step >= steps - LAST)
    return (times[steps] - times[first]) / (steps - first) / 1e9, clock.learning(times[first], times[steps])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("out", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"of {', '.join(RECIPES)} (all)")
    parser.add_argument("--steps", type=int, default=2 * LAST)
    parser.add_argument("--json", type=pathlib.Path, help="also write the results there, beside what is in it of other recipes")
    args = parser.parse_args()
    if set(args.recipes) - set(RECIPES) or args.steps <= LAST:
        parser.error(f"recipes are {', '.join(RECIPES)}, steps more than {LAST}")
    build, out = args.build, args.out
    results = json.loads(args.json.read_text(encoding="utf-8")) if args.json and args.json.exists() else {}
    for name in args.recipes or RECIPES:
        parts = RECIPES[name]
        before = sum(engine_seconds(build, out, *part) for part in parts)
        step, learning = run_recipe(build, out, name, args.steps)
        engine = (before + sum(engine_seconds(build, out, *part) for part in parts)) / 2
        results[name] = {"images_per_s": BATCH / step, "engine_images_per_s": BATCH / engine, "share": engine / step,
                         "learning": learning}
        print(f"{name:9} {BATCH / step:6.0f} images/s   engine alone {BATCH / engine:6.0f}   share {engine / step:.2f}   "
              f"learning {learning:.2f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
