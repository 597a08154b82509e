#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the shipped models: float16, with a card each.

usage: ship.py OUT

OUT is where train.py left its checkpoints; figures come from docs/results.json (report.py --collect OUT). The models
go to graphs/models/, with the whitening of the teachers that the student's run fitted.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import train

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("SEED_BUILD", ROOT / "build")) / "daemon"
LIMIT = 30 << 20

CIFAR = "CIFAR-10 (Krizhevsky 2009), 45,000 images; published for research without a formal licence"
CALTECH = "Caltech-101 (Li, Andreeto, Ranzato, Perona 2022), 3,375 images of 100 classes; CC BY 4.0"
CLOTHING = "Clothing dataset, the ten largest classes (Grigorev 2020), 2,835 images; CC0"
CLIPART = "Open Clip Art Library 0.18, 1,466 drawings with titles and keywords; public domain"
STAMPS = "Tux Paint stamps, 506 pictures with captions; GPL-2"
LICENSE = "MIT for the weights; what they were learned from has its own terms, named below"
LIMITS = ["Small, and trained for minutes on two processor cores: for demonstrations, tests and as a start for learning on a "
          "stream of one's own, not for decisions about people.",
          "64 to 96 pixels a side: small things in a frame are not seen."]
CARDS = {
    "labels": {
        "summary": "The teacher that was told: a vision transformer (width 192, depth 6) that learned 120 classes.",
        "data": [CIFAR, CALTECH, CLOTHING]},
    "captions": {
        "summary": "The teacher that was told in words: images and captions, or their class in words, against the frozen "
                   "sentence encoder all-MiniLM-L6-v2 (Apache-2.0), which is not part of it.",
        "data": [CLIPART, STAMPS, CALTECH, CLOTHING, "of CIFAR-10 10,000 images, as above: no formal licence"]},
    "anchors": {
        "summary": "The teacher that was told nothing: 256 image anchors and an embedding, from images without a label.",
        "data": [CIFAR, CALTECH, CLOTHING, CLIPART, STAMPS]},
    "mini": {
        "summary": "The student: distilled max-min from the teachers labels, captions and anchors, from images without a label.",
        "data": [CIFAR, CALTECH, CLOTHING, CLIPART, STAMPS], "runs": " ".join(train.STUDENT), "passes": "three times "},
}


INDEX = """# Small models

Written by `graphs/train/ship.py`. Each folder has the weights in float16 as transformers reads a ViT, its heads, and a card
that says what it was learned from, how, and how well. Any of them is a teacher (`stage: teacher`) or, with its heads, a student
(`stage: student`). The graph `demo.yaml` uses all four.

| | |
|---|---|
{rows}

`whitening.safetensors` is the whitening of the three teachers in the order `labels`, `captions`, `anchors`, fitted on 4096 of the
images that `mini` learned from: a fusion of these teachers starts without calibration.
"""


def card_of(name, results):
    card = CARDS[name]
    run = results["runs"][name]
    graph, parameters = train.RUNS[name]
    figures = {f"{task}, {metric}": round(value, 4) for task, metrics in sorted(results["figures"][name].items())
               for metric, value in sorted(metrics.items()) if metric in ("top1", "map", "recall@1")}
    return {
        "name": f"seed-{name}", "license": LICENSE, "summary": card["summary"], "data": card["data"],
        "recipe": f"graphs/train-{graph}.yaml: {card.get('passes', '')}{run['steps']} steps of {run['batch']} images of two views, "
                  f"AdamW, {run['images_per_s']:.0f} images a second. docs/results.md has the whole table.",
        "command": f"graphs/train/train.py DATA OUT {card.get('runs', name)}",
        "seed": parameters.get("seed") or int(train.parameters_of(graph)["seed"]),
        "limits": LIMITS, "figures": figures}


def fit_whitening(out, models):
    """Of the teachers as they are shipped: a whitening belongs to one set of weights."""
    whitening = models / "whitening.safetensors"
    whitening.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="seed-") as folder:
        given = {"sets": out / "sets", "models": models, "whitening": whitening, "checkpoint": f"{folder}/student",
                 "steps": 1, "endpoint": f"ipc://{folder}/results"}
        command = [BUILD / "seed-run", "--quiet", HERE.parent / "train-fusion.yaml"]
        for key, value in given.items():
            command += ["--set", f"{key}={value}"]
        subprocess.run(command, check=True)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out, models = pathlib.Path(sys.argv[1]).resolve(), HERE.parent / "models"
    results = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))
    for name in CARDS:
        target = models / name
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as card:
            json.dump(card_of(name, results), card)
            card.flush()
            subprocess.run([BUILD / "seedctl", "model", "export", out / "models" / name, target, "--dtype", "float16",
                            "--card", card.name], check=True)
    fit_whitening(out, models)
    (models / "README.md").write_text(INDEX.format(rows="\n".join(
        f"| `{name}` | {card['summary']} |" for name, card in CARDS.items())), encoding="utf-8")
    size = sum(file.stat().st_size for file in models.rglob("*") if file.is_file())
    print(f"{size / (1 << 20):.1f} MiB in {models.relative_to(ROOT)}")
    if size > LIMIT:
        sys.exit("that is more than the 30 MiB that may be shipped")


if __name__ == "__main__":
    main()
