#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seedctl eval, model and plot as a user has them, against plain numpy of the same vectors.

usage: test-seedctl-eval.py BUILD_FOLDER
"""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import traceback

try:
    import numpy as np
except ImportError as missing:
    print(f"1..0 # SKIP {missing}: needs python3-numpy")
    sys.exit(0)

try:
    import jsonschema
    VALIDATOR = jsonschema.Draft202012Validator(json.loads(
        (pathlib.Path(os.environ["SEED_SOURCE_DIR"]) / "docs" / "seed.eval.v1.schema.json").read_text()))
except ImportError:
    VALIDATOR = None

BUILD = pathlib.Path(sys.argv[1])
DATA = pathlib.Path(os.environ["SEED_SOURCE_DIR"]) / "tests" / "data"
SEEDCTL = BUILD / "daemon" / "seedctl"
IMAGES = DATA / "images"
DTYPES = {"F32": "<f4", "F16": "<f2", "I32": "<i4", "U64": "<u8"}


def seedctl(*arguments, code=0):
    done = subprocess.run([SEEDCTL, *map(str, arguments)], capture_output=True, text=True, timeout=240)
    assert done.returncode == code, f"{arguments}: {done.returncode}: {done.stderr}"
    return done.stdout if code == 0 else done.stderr


def report(*arguments):
    made = json.loads(seedctl("eval", *arguments, "--json"))
    if VALIDATOR:
        VALIDATOR.validate(made)
    return made


def tensors(path):
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    body = raw[8 + length:]
    out = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        if t["dtype"] == "BF16":
            bits = np.frombuffer(body[begin:end], "<u2").astype(np.uint32) << 16
            out[name] = bits.view(np.float32).reshape(t["shape"])
        else:
            out[name] = np.frombuffer(body[begin:end], DTYPES[t["dtype"]]).reshape(t["shape"])
    return out


def make_model(folder, seed=7):
    subprocess.run([BUILD / "tests" / "tools" / "seed-make-random-model", "--size", "mini", "--seed", str(seed),
                    "--image-size", "32", "--patch-size", "16", "--out", folder], check=True)


def make_student(folder, teacher):
    """A student is a plain ViT and an embed head."""
    folder.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).write_bytes((teacher / name).read_bytes())
    (folder / "model.safetensors").write_bytes((teacher / "model.safetensors").read_bytes())
    rng = np.random.default_rng(3)
    head = {"embed_head.bias": rng.normal(0, 0.1, 24).astype("<f4"),
            "embed_head.weight": rng.normal(0, 0.1, (24, 192)).astype("<f4")}
    header, at = {}, 0
    for name, value in head.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "heads.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(v.tobytes() for v in head.values()))


def test_knn(tmp):
    made = report("knn", tmp / "teacher", IMAGES, "--features", tmp / "f.safetensors")
    f = tensors(tmp / "f.safetensors")
    x, y = f["data.features"].astype(float), f["data.labels"]
    assert x.shape == (96, 192) and np.allclose(np.linalg.norm(x, axis=1), 1, atol=1e-6)
    assert list(np.bincount(y)) == [12] * 8 and list(f["data.images"]) == list(range(96))
    cosines = x @ x.T
    np.fill_diagonal(cosines, -np.inf)
    top1 = top5 = 0
    for i in range(len(x)):
        nearest = np.argsort(-cosines[i], kind="stable")[:20]
        votes = np.zeros(8)
        np.add.at(votes, y[nearest], np.exp(cosines[i][nearest] / 0.07))
        order = [c for c in np.argsort(-votes, kind="stable") if votes[c] > 0]
        top1 += order[0] == y[i]
        top5 += y[i] in order[:5]
    assert abs(made["metrics"]["top1"] - top1 / 96) < 1e-12, (made["metrics"], top1 / 96)
    assert abs(made["metrics"]["top5"] - top5 / 96) < 1e-12
    assert made["split"] == "leave-one-out" and made["data"]["classes"] == 8 and made["settings"]["k"] == 20
    assert len(made["model"]["sha256"]) == 64 and made["images_per_s"] > 0


def test_retrieval(tmp):
    made = report("retrieval", tmp / "teacher", IMAGES, "--features", tmp / "f.safetensors")["metrics"]
    f = tensors(tmp / "f.safetensors")
    x, y = f["data.features"].astype(float), f["data.labels"]
    cosines = x @ x.T
    aps, hits = [], {1: 0, 5: 0, 10: 0}
    for i in range(len(x)):
        order = [j for j in np.argsort(-cosines[i]) if j != i]
        right = (y[order] == y[i]).astype(float)
        aps.append((np.cumsum(right) / np.arange(1, 96) * right).sum() / right.sum())
        for k in hits:
            hits[k] += right[:k].any()
    assert abs(made["map"] - np.mean(aps)) < 1e-6, (made["map"], np.mean(aps))
    for k in hits:
        assert abs(made[f"recall@{k}"] - hits[k] / 96) < 1e-12


def test_linear(tmp):
    made = report("linear", tmp / "teacher", IMAGES, "--test", IMAGES, "--lambda", "0.1", "--features",
                  tmp / "f.safetensors")
    f = tensors(tmp / "f.safetensors")
    x, y = f["data.features"].astype(float), f["data.labels"]
    x = (x - x.mean(0)) / x.std(0)
    w, b, truth = np.zeros((192, 8)), np.zeros(8), np.eye(8)[y]
    step = 1 / (0.5 * np.linalg.norm(np.c_[x, np.ones(96)], 2) ** 2 / 96 + 0.1)
    vw, vb, t = w, b, 1.0  # Nesterov's method, an algorithm that shares nothing with L-BFGS
    for _ in range(4000):
        z = x @ vw + vb
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        nw, nb = vw - step * (x.T @ (p - truth) / 96 + 0.1 * vw), vb - step * (p - truth).mean(0)
        nt = (1 + (1 + 4 * t * t) ** 0.5) / 2
        vw, vb = nw + (t - 1) / nt * (nw - w), nb + (t - 1) / nt * (nb - b)
        w, b, t = nw, nb, nt
    z = x @ w + b
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(96), y]).mean()
    assert made["settings"]["converged"] is True
    assert abs(made["metrics"]["loss"] - loss) < 1e-4, (made["metrics"]["loss"], loss)
    assert abs(made["metrics"]["top1"] - (z.argmax(1) == y).mean()) < 0.011


def test_deterministic(tmp):
    def figures(*more):
        made = report("linear", tmp / "teacher", IMAGES, *more)
        return {k: made[k] for k in ("model", "data", "split", "seed", "settings", "metrics")}

    assert figures("--seed", 5) == figures("--seed", 5, "--threads", 1)
    assert figures("--seed", 5)["metrics"] != figures("--seed", 6)["metrics"]
    part = report("knn", tmp / "teacher", IMAGES, "--limit", 40, "--seed", 2)
    assert part["data"]["images"] == 40 and part["data"]["of"] == 96
    assert part["metrics"] == report("knn", tmp / "teacher", IMAGES, "--limit", 40, "--seed", 2)["metrics"]


def test_forms_of_sets(tmp):
    sets = DATA / "imagesets"
    plain = report("knn", tmp / "teacher", sets / "tree")["metrics"]
    for form in ("tree.tar", "tree.tar.gz"):
        assert report("knn", tmp / "teacher", sets / form)["metrics"] == plain
    assert report("knn", tmp / "teacher", sets / "cifar10")["data"]["images"] > 0


def test_captions(tmp):
    """By text: the towers here are random, so what counts is who is asked for what."""
    folder = DATA / "imagesets" / "captioned"
    command = ("retrieval", DATA / "models" / "clip-tiny", folder / "train.tsv", "--captions", folder / "train.tsv")
    made = report(*command, "--text-model", DATA / "text" / "clip-json")
    captions = [line for line in (folder / "train.tsv").read_text().splitlines() if line]
    assert made["metrics"]["texts"] == made["data"]["captions"] == len(captions)
    assert made["metrics"]["text_to_image_recall@10"] == 1  # there are six images
    assert made["metrics"]["image_to_text_recall@1"] <= made["metrics"]["image_to_text_recall@5"] <= 1
    assert made["settings"]["text_model"] == "clip-json"
    assert "different spaces" in seedctl("eval", *command, "--text-model", DATA / "text" / "bert", code=1)
    seedctl("eval", *command, code=1)  # its folder has no vocabulary


def test_duplicates(tmp):
    import shutil
    for side in ("original", "crop"):
        (tmp / "pairs" / side).mkdir(parents=True)
    for i, image in enumerate(sorted(IMAGES.glob("*/*.jpg"))[:20]):
        for side in ("original", "crop"):
            shutil.copy(image, tmp / "pairs" / side / f"{i}.jpg")
    made = report("duplicates", tmp / "teacher", tmp / "pairs")["metrics"]
    assert made["recall@1"] == 1 and made["map"] == 1 and made["micro_ap"] == 1 and made["pairs"] == 400
    (tmp / "pairs" / "crop" / "stranger.jpg").write_bytes(image.read_bytes())
    assert "stranger.jpg" in seedctl("eval", "duplicates", tmp / "teacher", tmp / "pairs", code=1)
    assert "--query" in seedctl("eval", "duplicates", tmp / "teacher", IMAGES, code=1)


def test_cuts(tmp):
    table = tmp / "clips.tsv"
    table.write_text(f"file\tcut_frames\tcut_list\n{DATA}/media/magnet.ogv\t\tnone\n"
                     f"{DATA}/media/missing.mp4\t\tnone\n")
    (tmp / "clips").symlink_to("/")
    made = report("cuts", tmp / "teacher", table)
    assert made["metrics"]["clips"] == 1 and made["metrics"]["skipped_clips"] == 1
    assert made["metrics"]["frames"] > 5 and made["metrics"]["recall"] is None
    table.write_text("file\tcut_frames\tcut_list\nx\t5,4\tall\n")
    assert f"{table}:2: " in seedctl("eval", "cuts", tmp / "teacher", table, code=1)


def test_errors(tmp):
    empty = tmp / "empty"
    empty.mkdir()
    seedctl("eval", "knn", tmp / "teacher", empty, code=1)
    assert "no label" in seedctl("eval", "knn", tmp / "teacher", IMAGES / "hat", code=1)
    one = tmp / "one" / "hat"
    one.parent.mkdir()
    one.symlink_to(IMAGES / "hat")
    (tmp / "one" / "x.jpg").symlink_to(IMAGES / "hat" / "00.jpg")
    seedctl("eval", "knn", tmp / "teacher", tmp / "one", code=1)
    labels = tmp / "labels.tsv"
    labels.write_text("nonsense\tx\n")
    assert "labels.tsv" in seedctl("eval", "knn", tmp / "teacher", IMAGES, "--labels", labels, code=1)
    seedctl("eval", "knn", tmp / "nowhere", IMAGES, code=1)
    seedctl("eval", "knn", code=2)
    seedctl("eval", "knn", tmp / "teacher", IMAGES, "--k", 0, code=2)
    seedctl("eval", "dance", code=2)
    bad = tmp / "bad.jsonl"
    bad.write_text('{"qid": 1, "pred_relevant_windows": [[0, 1, 1]]}\n{"qid": }\n')
    assert f"{bad}:2:9: " in seedctl("eval", "grounding", bad, bad, code=1)


def test_grounding_as_published(tmp):
    if "SEED_DATA" not in os.environ:
        return "SEED_DATA does not name the folder of real sets"
    folder = pathlib.Path(os.environ["SEED_DATA"]) / "grounding" / "qvhighlights"
    made = report("grounding", folder / "sample_val_preds.jsonl.gz", folder / "highlight_val_release.jsonl")["metrics"]
    wanted = json.loads((folder / "sample_val_preds_metrics_raw.json").read_text())

    def same(share, percent):
        assert float(f"{100 * share:.2f}") == percent, (share, percent)

    for name in ("full", "long", "middle", "short"):
        for iou, percent in wanted[name]["MR-R1"].items():
            same(made[name]["r1"][iou], percent)
        for iou, percent in wanted[name]["MR-mAP"].items():
            same(made[name]["map_average"] if iou == "average" else made[name]["map"][iou], percent)
    for name in ("Fair", "Good", "VeryGood"):
        same(made[f"highlights-{name}"]["map"], wanted[f"HL-min-{name}"]["HL-mAP"])
        same(made[f"highlights-{name}"]["hit1"], wanted[f"HL-min-{name}"]["HL-Hit1"])


def features(model, tmp):
    report("knn", model, IMAGES, "--features", tmp / "x.safetensors")
    return tensors(tmp / "x.safetensors")["data.features"]


def test_export(tmp):
    student = tmp / "student"
    before = features(student, tmp)
    assert before.shape == (96, 24)
    for dtype, room in (("float32", 1e-6), ("float16", 1e-3), ("bfloat16", 3e-2)):
        out = tmp / dtype
        seedctl("model", "export", student, out, "--dtype", dtype)
        after = features(out, tmp)
        assert dtype != "float32" or (after == before).all()
        assert 1 - (after * before).sum(1).min() <= room, (dtype, 1 - (after * before).sum(1).min())
        info = json.loads(seedctl("model", "info", out, "--json"))
        assert info["kind"] == "student" and info["dtype"] == dtype and info["dim"] == 192
        assert [h["shape"] for h in info["head_tensors"]] == [[24, 192], [24]]
        assert not any(n.startswith("embed_head") for n in tensors(out / "model.safetensors"))
    half = tensors(tmp / "float16" / "model.safetensors")
    brain = tensors(tmp / "bfloat16" / "model.safetensors")
    for name, value in tensors(tmp / "float32" / "model.safetensors").items():
        assert (half[name] == value.astype(np.float16)).all(), name  # rounded to nearest even
        bits = value.view(np.uint32).astype(np.uint64)
        nearest = ((bits + 0x7fff + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)
        assert (brain[name] == nearest).all(), name
    assert "already" in seedctl("model", "export", student, tmp / "float32", code=1)
    assert "no student" in seedctl("model", "export", tmp / "teacher", tmp / "other", code=1)
    assert "itself" in seedctl("model", "export", student, student, "--force", code=1)
    assert "float8" in seedctl("model", "export", student, tmp / "other", "--dtype", "float8", code=1)
    assert not (tmp / "other").exists()


def test_convert(tmp):
    for name in ("dino-tiny", "dinov2-tiny", "timm-tiny", "timm-tiny-deit3"):
        before = features(DATA / "models" / name, tmp)
        seedctl("model", "convert", DATA / "models" / name, tmp / name)
        after = features(tmp / name, tmp)
        assert np.abs(after - before).max() < 2e-6, (name, np.abs(after - before).max())
        assert json.loads((tmp / name / "config.json").read_text())["model_type"] == "vit"
    assert "plain transformer" in seedctl("model", "convert", DATA / "models" / "siglip-tiny-vision", tmp / "s", code=1)
    assert not (tmp / "s").exists()


def test_card(tmp):
    card = tmp / "card.json"
    card.write_text(json.dumps({"name": "Small", "license": "mit", "data": ["Clothing, train"], "recipe": "one epoch",
                                "seed": 4, "figures": {"knn top-1": 0.5}}))
    seedctl("model", "export", tmp / "student", tmp / "carded", "--card", card)
    text = (tmp / "carded" / "README.md").read_text()
    for part in ("# Small", "- Clothing, train", "one epoch", "Seed: 4", "| knn top-1 | 0.5 |", "heads.safetensors"):
        assert part in text, part
    card.write_text('{"figures": 3}')
    assert f"{card}:1: " in seedctl("model", "export", tmp / "student", tmp / "c2", "--card", card, code=1)
    assert not (tmp / "c2").exists()


def test_plot(tmp):
    import xml.etree.ElementTree as tree
    for run in ("a", "b"):
        with open(tmp / f"{run}.jsonl", "w") as out:
            for step in range(50):
                data = {"step": step, "loss": {"total": 1 / (step + 1), "seed": None}, "lr": 0.1,
                        "fusion": {"masked": 0.0, "teachers": {"x": {"diagonal": 0.5, "off_diagonal": 0.5}}}}
                out.write(json.dumps({"kind": "train", "node": "n", "data": data}) + "\n")
    root = tree.fromstring(seedctl("plot", tmp / "a.jsonl", "--log"))
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    for wanted in ("Loss (log)", "total", "Learning rate (log)", "Fusion: share of diagonal wins", "x", "step"):
        assert wanted in texts, wanted
    seedctl("plot", f"first={tmp}/a.jsonl", tmp / "b.jsonl", "-o", tmp / "two.svg")
    texts = [t.text for t in tree.parse(tmp / "two.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert "Loss: total" in texts and "first" in texts and "b" in texts and "b: x" in texts
    (tmp / "c.jsonl").write_text("{}\n{\n")
    assert f"{tmp}/c.jsonl:2:" in seedctl("plot", tmp / "c.jsonl", code=1)


def test_table(tmp):
    for seed in (1, 2):
        make_model(tmp / f"net-seed{seed}", seed)
        seedctl("eval", "knn", tmp / f"net-seed{seed}", IMAGES, "-o", tmp / f"{seed}.json")
    values = [100 * json.loads((tmp / f"{s}.json").read_text())["metrics"]["top1"] for s in (1, 2)]
    table = seedctl("eval", "table", tmp / "1.json", tmp / "2.json")
    assert table.startswith("| model | knn data/images top1 |\n|---|---:|\n| net |")
    assert f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} (2)" in table
    assert "one=" not in seedctl("eval", "table", f"one={tmp}/1.json")
    (tmp / "x.json").write_text("{}")
    assert "x.json" in seedctl("eval", "table", tmp / "x.json", code=1)


def main():
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_")]
    print(f"1..{len(tests)}", flush=True)
    failed = False
    for number, (name, test) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory() as folder:
            tmp = pathlib.Path(folder).resolve()
            try:
                make_model(tmp / "teacher")
                make_student(tmp / "student", tmp / "teacher")
                skipped = test(tmp)
                print(f"ok {number} - {name}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
            except Exception:
                failed = True
                traceback.print_exc()
                print(f"not ok {number} - {name}", flush=True)
    sys.exit(failed)


main()
