#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shipped recipes run: on a handful of images, for a few steps, from sets to figures."""
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
# pylint: disable=wrong-import-position
from harness import BUILD, IMAGES, LIMIT, SOURCE, tap

TRAIN = os.path.join(SOURCE, "graphs", "train")
TEXT_MODEL = os.path.join(SOURCE, "tests", "data", "text", "bert-cased")


def copy(images, folder):
    folder.mkdir(parents=True)
    for image in images:
        shutil.copy(image, folder)


def make_data(data):
    """The sets that the recipes want, small: the bundled photos under other names."""
    kinds = sorted(p for p in pathlib.Path(IMAGES).iterdir() if p.is_dir())
    for name, kind in (("train", 4), ("test", 2)):
        (data / "cifar10").mkdir(parents=True, exist_ok=True)
        with tarfile.open(data / "cifar10" / f"{name}.tar.gz", "w:gz") as tar:
            for folder in kinds[:2]:
                for image in sorted(folder.glob("*.jpg"))[:2 * kind]:
                    content = image.read_bytes()
                    entry = tarfile.TarInfo(f"{name}/{folder.name}/{image.name}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
        for source, of in (("caltech101", kinds[:3]), ("clothing10", kinds[3:6])):
            for folder in of:
                copy(sorted(folder.glob("*.jpg"))[:kind], data / source / name / folder.name)
    for source in ("openclipart", "tuxpaint_stamps"):
        images = sorted(kinds[-1].glob("*.jpg"))[:6]
        for part in ("train", "test"):
            copy(images, data / source / part / "images")
        told = ("a red hat", "two dogs run", "the sea at night", "music", "a very old stone bridge", "42")
        lines = [f"{image.name}\t{caption}" for image, caption in zip(images, told)]
        for part in ("train", "test"):
            (data / source / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (data / "video").mkdir()
    shutil.copy(os.path.join(SOURCE, "graphs", "media", "demo.mp4"), data / "video")
    (data / "video" / "clips.tsv").write_text("file\tcut_frames\tcut_list\ndemo.mp4\t35,128,303\tall\n", encoding="utf-8")
    for part in ("original", "crop"):
        copy(sorted(kinds[0].glob("*.jpg"))[:4], data / "neardup_faces" / "test" / part)


def program(*command, expect=0):
    environment = {**os.environ, "GST_PLUGIN_PATH_1_0": os.path.join(BUILD, "elements"), "SEED_BUILD": BUILD,
                   "SEED_TEXT_MODEL": TEXT_MODEL}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=LIMIT, env=environment, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def run(script, *arguments, expect=0):
    return program(sys.executable, os.path.join(TRAIN, script), *arguments, expect=expect)


def test_from_sets_to_figures(folder):
    """Three teachers, and a student of all of them."""
    data, out = pathlib.Path(folder, "data"), pathlib.Path(folder, "out")
    make_data(data)
    small = ("steps=3", "batch=16", "calibration=48", "classes=8", "image-size=32")
    sets = [part for value in small for part in ("--set", value)]
    run("train.py", data, out, *sets, "labels", "anchors", "captions", "mini-first", "mini-second", "mini")
    for name in ("labels", "anchors", "captions", "mini"):
        stats = json.loads((out / "runs" / f"{name}.json").read_text(encoding="utf-8"))
        assert stats["stages"], name
        lines = (out / "runs" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        steps = [json.loads(line)["data"] for line in lines if '"kind":"train"' in line]
        assert any(step.get("step") == 3 for step in steps), (name, steps[-1:])
        figures = sorted(p.name for p in (out / "figures").glob(f"{name}.*.json"))
        assert len(figures) == {"labels": 9, "captions": 10, "anchors": 12, "mini": 10}[name], figures
        metrics = json.loads((out / "figures" / f"{name}.knn-clothing10.json").read_text(encoding="utf-8"))["metrics"]
        assert 0 <= metrics["top1"] <= 1
    shares = [step["fusion"] for step in steps if step.get("fusion")]
    assert set(shares[-1]["teachers"]) == {"labels", "captions", "anchors"}, shares[-1]
    again = run("train.py", data, out, *sets, "labels").stdout
    assert again == "", again  # what is done is left out


def test_images_are_found_by_text(folder):
    """A student that has learned six captions by heart finds their images through its text head, as exported too."""
    data, model = pathlib.Path(folder, "data"), pathlib.Path(folder, "model")
    make_data(data)
    listing = data / "openclipart" / "train.tsv"
    graph = pathlib.Path(folder, "learn.yaml")
    graph.write_text(f"""
version: 1
graph: words
nodes:
  images: {{ stage: images, location: {listing}, captions: {listing}, epochs: 0 }}
  views:  {{ stage: patchify, from: images, views: 2, batch: 6, augment: true, reference-view: true, min-crop: 0.8 }}
  learn:  {{ stage: student, mode: train, from: views, objective: captions, text-model: {TEXT_MODEL}, size: mini,
            image-size: 32, steps: 250, lr: 0.001, ema: 0.9, promote: always, checkpoint: {model} }}
""", encoding="utf-8")
    seedctl, seed_run = (os.path.join(BUILD, "daemon", name) for name in ("seedctl", "seed-run"))
    program(seed_run, "--quiet", graph)
    program(seedctl, "model", "export", model, pathlib.Path(folder, "exported"), "--dtype", "float16")
    for place in (model, pathlib.Path(folder, "exported")):
        ask = (seedctl, "eval", "retrieval", place, listing, "--captions", listing, "--json")
        report = json.loads(program(*ask, "--text-model", TEXT_MODEL).stdout)
        assert report["metrics"]["text_to_image_recall@1"] == 1, report["metrics"]
        assert report["metrics"]["image_to_text_recall@1"] == 1, report["metrics"]
        clip = os.path.join(SOURCE, "tests", "data", "text", "clip")
        refused = program(*ask, "--text-model", clip, expect=1)
        assert "learned with texts of width" in refused.stderr, refused.stderr


def test_names_are_known(folder):
    result = run("train.py", folder, folder, "nobody", expect=1)
    assert "nobody" in result.stderr, result


def test_results_page_is_what_the_figures_say(_):
    run("report.py", "--check")


tap.main([test_from_sets_to_figures, test_images_are_found_by_text, test_names_are_known, test_results_page_is_what_the_figures_say])
