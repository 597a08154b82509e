#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains and measures every shipped model and every row of docs/results.md.

usage: train.py DATA OUT [--set PARAMETER=VALUE ...] [NAME ...]

DATA is the folder of public image sets that docs/results.md names; OUT gets sets/, models/ (checkpoints), runs/ (what
each run published and its statistics) and figures/ (what each model was measured at). NAME is one of the runs that
--list prints; without one all are made, in order, those that are done already left out. --set gives every run that knows
the parameter another value than its recipe. SEED_BUILD is the build
folder (build), SEED_TEXT_MODEL the sentence encoder (else graphs/train/text-model.sh fetches it).
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SEED_BUILD", HERE.parent.parent / "build")) / "daemon"
STEPS = 250  # of every run that is compared
SEEDS = (11, 12, 13)
LAMBDA = "0.003"  # of the linear probe: smaller penalties gain a point or two and take minutes
LIMIT = "10000"  # images of a set that figures are taken from

# name: (graph, parameters); every one learns from the same images of the same order for the same seed
TEACHERS = {
    "labels": ("labels", {}),
    "anchors": ("anchors", {}),
    "captions": ("captions", {}),
}
# in three passes: each starts from what the one before left, with half the rate of the first
STUDENT = {
    "mini-first": ("mini", {}),
    "mini-second": ("mini", {"model": "{models}/mini-first", "lr": 0.0005, "seed": 5}),
    "mini": ("mini", {"model": "{models}/mini-second", "lr": 0.0005, "seed": 6}),
}


def fusion(strategy, **more):
    return "fusion", {"strategy": strategy, **more}


COMPARED = {
    "max-min": fusion("max-min"),
    "mean": fusion("mean"),
    "single-labels": fusion("single:labels"),
    "single-captions": fusion("single:captions"),
    "single-anchors": fusion("single:anchors"),
    "max-mean": fusion("max-mean"),
    "random": fusion("random"),
    "concat": ("concat", {}),
    "max-min-queue": ("mini", {"w-feat": 0}),
    "max-min-anchors": fusion("max-min", objective="distil+anchors"),
    "all": ("mini", {"objective": "distil+anchors"}),
    "labels-only": ("labels", {}),
    "anchors-only": ("anchors", {"image-size": 64}),
}
FLOOR = {"eigenvalue-floor": 0.01, "whitening": "{models}/whitening-floor.safetensors"}
ABLATED = {"max-min-floor": fusion("max-min", **FLOOR)}  # with the first seed


RUNS = {**TEACHERS, **STUDENT}  # of what is shipped


def plan():
    """Every run: name, graph, parameters."""
    for name, (graph, parameters) in RUNS.items():
        yield name, graph, parameters
    for seed in SEEDS:
        for name, (graph, parameters) in {**COMPARED, **(ABLATED if seed == SEEDS[0] else {})}.items():
            yield f"{name}-seed{seed}", graph, {**parameters, "steps": STEPS, "seed": seed}


def parameters_of(graph):
    """Of a recipe: names and the values that it has for them, as they are written."""
    text = (HERE.parent / f"train-{graph}.yaml").read_text(encoding="utf-8")
    head = text[text.index("parameters:"):text.index("nodes:")]
    lines = (line.split("#")[0].split(":", 1) for line in head.splitlines()[1:])
    return {name.strip(): value.strip() for name, value in lines}


class Lab:
    def __init__(self, data, out, given):
        self.data, self.out, self.given = data, out, given
        for folder in ("models", "runs", "figures"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        if not (out / "sets" / "captions.tsv").exists():
            subprocess.run([sys.executable, HERE / "sets.py", data, out / "sets"], check=True)

    def text_model(self):
        folder = os.environ.get("SEED_TEXT_MODEL")
        if folder:
            return folder
        subprocess.run([HERE / "text-model.sh", self.out / "text-model"], check=True)
        return self.out / "text-model"

    def train(self, name, graph, parameters):
        run = self.out / "runs" / name
        stats = run.with_suffix(".json")
        if stats.exists():
            return
        with tempfile.TemporaryDirectory(prefix="seed-") as folder:
            self.run(run, graph, {**parameters, "endpoint": f"ipc://{folder}/results"}, name)
        os.rename(f"{stats}.part", stats)

    def run(self, run, graph, parameters, name):
        known = parameters_of(graph)
        given = {"sets": self.out / "sets", "checkpoint": self.out / "models" / name,
                 "models": self.out / "models", "whitening": self.out / "models" / "whitening.safetensors"}
        if graph == "captions":
            given["text-model"] = self.text_model()
        given.update({key: str(value).replace("{models}", str(self.out / "models")) for key, value in parameters.items()})
        given.update(self.given)
        command = [BUILD / "seed-run", HERE.parent / f"train-{graph}.yaml", "--stats", f"{run}.json.part"]
        for key, value in given.items():
            if key in known:
                command += ["--set", f"{key}={value}"]
        print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
        with open(run.with_suffix(".jsonl"), "w", encoding="utf-8") as messages, \
                open(run.with_suffix(".log"), "w", encoding="utf-8") as log, \
                subprocess.Popen([BUILD / "seedctl", "tail", "--json", "--connect", parameters["endpoint"], ""],
                                 stdout=messages) as tail:
            result = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
            time.sleep(0.3)
            tail.send_signal(signal.SIGINT)
        if result.returncode != 0:
            sys.exit(f"{name} failed, see {run}.log:\n" + run.with_suffix(".log").read_text(encoding="utf-8")[-2000:])

    def tasks(self, name):
        """Of every figure: its file's suffix, and what seedctl eval is asked."""
        for task, settings in (("knn", []), ("linear", ["--lambda", LAMBDA])):
            yield f"{task}-cifar10", [task, "cifar10/train.tar.gz", "--test", "cifar10/test.tar.gz", "--limit", LIMIT,
                                      *settings]
            for source in ("caltech101", "clothing10"):
                yield f"{task}-{source}", [task, f"{source}/train", "--test", f"{source}/test", *settings]
        yield "retrieval-caltech101", ["retrieval", "caltech101/train", "--test", "caltech101/test"]
        yield "retrieval-clothing10", ["retrieval", "clothing10/train", "--test", "clothing10/test"]
        if name == "captions":
            yield "retrieval-openclipart", ["retrieval", "openclipart/test.tsv", "--captions", "openclipart/test.tsv",
                                            "--text-model", str(self.text_model())]
        if name == "anchors":
            for source in ("caltech101", "clothing10"):
                yield f"anchors-{source}", ["anchors", f"{source}/train"]
        if name in ("anchors", "mini"):
            yield "cuts-clips", ["cuts", "video/clips.tsv"]
        yield "duplicates-faces", ["duplicates", "neardup_faces/test"]

    def measure(self, name):
        for suffix, (task, *arguments) in self.tasks(name):
            figure = self.out / "figures" / f"{name}.{suffix}.json"
            if figure.exists():
                continue
            places = [str(self.data / a) if "/" in a else a for a in arguments]
            subprocess.run([BUILD / "seedctl", "eval", task, self.out / "models" / name, *places, "--json", "-o",
                            f"{figure}.part"], stdout=subprocess.DEVNULL, check=True)
            os.rename(f"{figure}.part", figure)

    def make(self, names):
        for name, graph, parameters in plan():
            if not names or name in names:
                self.train(name, graph, parameters)
                self.measure(name)


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(json.dumps([name, graph, parameters]) for name, graph, parameters in plan()))
        return
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    data, out, *names = sys.argv[1:]
    given = {}
    while "--set" in names:
        at = names.index("--set")
        key, value = names[at + 1].split("=", 1)
        given[key] = value
        del names[at:at + 2]
    unknown = set(names) - {name for name, *_ in plan()}
    if unknown:
        sys.exit(f"no run is called {', '.join(sorted(unknown))}; --list prints those there are")
    Lab(pathlib.Path(data).resolve(), pathlib.Path(out).resolve(), given).make(names)


if __name__ == "__main__":
    main()
