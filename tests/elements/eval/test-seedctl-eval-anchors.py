#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""seedctl eval anchors against numpy on the heat maps that a graph publishes of the same images.

usage: test-seedctl-eval-anchors.py BUILD_FOLDER
"""
import base64
import json
import os
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as tree
import zlib

try:
    import numpy as np
    import zmq  # noqa: F401, what the harness subscribes with
except ImportError as missing:
    print(f"1..0 # SKIP {missing}: needs python3-numpy and python3-zmq")
    sys.exit(0)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "system"))
# pylint: disable=wrong-import-position
from harness import BUILD, IMAGES, SOURCE, Run, of_kind, random_model, tap, write

try:
    import jsonschema
    with open(os.path.join(SOURCE, "docs", "seed.eval.v1.schema.json"), encoding="utf-8") as text:
        VALIDATOR = jsonschema.Draft202012Validator(json.load(text))
except ImportError:
    VALIDATOR = None

SEEDCTL = os.path.join(BUILD, "daemon", "seedctl")
GRID, SIDE, K = 2, 16, 256  # words of 16 pixels of images of 32
TEMPERATURE = 0.1

LOOK = """
version: 1
graph: look
parameters: {{ endpoint: "" }}
nodes:
  photos: {{ stage: images, location: {images}, epochs: 1, shuffle: false }}
  words:  {{ stage: patchify, from: photos, batch: 16 }}
  serve:  {{ stage: student, from: words, model: {model}, heatmaps: true }}
  out:    {{ stage: publish, from: serve, kinds: "anchors", endpoint: "${{endpoint}}", wait-subscribers: 1 }}
"""


def seedctl(*arguments, code=0):
    done = subprocess.run([SEEDCTL, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == code, f"{arguments}: {done.returncode}: {done.stderr}"
    return done.stdout if code == 0 else done.stderr


def report(*arguments):
    made = json.loads(seedctl("eval", "anchors", *arguments, "--json"))
    if VALIDATOR:
        VALIDATOR.validate(made)
    return made


def make_student(folder, bad=False):
    """A plain ViT with an embed head and anchors in pairs +c, -c, so that cosines can be told from a softmax."""
    random_model(folder, size="mini", seed=7, image_size=GRID * SIDE, patch_size=SIDE)
    rng = np.random.default_rng(3)
    half = rng.normal(size=(K // 2, 256))
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    heads = {"embed_head.weight": rng.normal(0, 0.1, (24, 192)), "embed_head.bias": np.zeros(24),
             "anchors": np.concatenate([half, -half]),
             "anchor_head.fc1.weight": rng.normal(0, 192 ** -0.5, (192, 192)),
             "anchor_head.fc1.bias": rng.normal(0, 0.1, 192),
             "anchor_head.fc2.weight": rng.normal(0, 192 ** -0.5, (256, 192)),
             "anchor_head.fc2.bias": np.zeros(256)}
    if bad:
        heads["anchor_head.fc2.weight"][:] = 3e38  # finite, but what it gives is not
    header, body = {}, b""
    for name, value in heads.items():
        raw = value.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "heads.safetensors"), "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + body)
    return folder


def published(folder, model, images):
    """What a graph says of each image: shares [images, words, K]."""
    run = Run(folder, write(os.path.join(folder, "look.yaml"), LOOK.format(images=images, model=model))).finish()
    heat = [np.frombuffer(m[2][1], np.float32).reshape(K, GRID * GRID).T for m in of_kind(run.messages, "anchors")]
    return np.array(heat, float)


def entropy(p):
    p = p[p > 0] / p.sum()
    return -(p * np.log(p)).sum()


def information(a, b):
    """Normalised, adjusted, nats; and the purity of a by b."""
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    rows, columns = table.sum(1), table.sum(0)
    nats = entropy(rows) + entropy(columns) - entropy(table)
    mean = (entropy(rows) + entropy(columns)) / 2
    chance = ((rows > 0).sum() - 1) * ((columns > 0).sum() - 1) / (2 * len(a))
    adjusted = max(0, (nats - chance) / (mean - chance)) if mean > chance else 0
    return {"nmi": nats / mean, "ami": adjusted, "information": nats}, table.max(1).sum() / len(a)


def close(made, wanted):
    for key, value in wanted.items():
        assert abs(made[key] - value) < 1e-6, (key, made[key], value)


def test_figures(folder):
    model = make_student(os.path.join(folder, "student"))
    made = report(model, IMAGES, "-o", os.path.join(folder, "report.json"))
    metrics = made["metrics"]
    shares = published(folder, model, IMAGES)
    assert shares.shape == (96, 4, K), shares.shape
    anchors, labels = shares.argmax(2), np.repeat(np.arange(8), 12)
    of_class, purity = information(anchors.ravel(), np.repeat(labels, 4))
    close(metrics["class"], of_class)
    close(metrics["position"], information(anchors.ravel(), np.tile(np.arange(4), 96))[0])
    histograms = shares.mean(1)
    each = [entropy(h) for h in histograms]
    close(metrics, {"purity": purity, "in_use": np.exp(entropy(histograms.mean(0))),
                    "in_use_share": np.exp(entropy(histograms.mean(0))) / K, "words": 384, "labelled": 96,
                    "anchors_used": len(np.unique(anchors))})
    for key, value in (("mean", np.mean(each)), ("deviation", np.std(each)), ("least", min(each)), ("most", max(each))):
        assert abs(metrics["frame_entropy"][key] - value) < 1e-4, (key, metrics["frame_entropy"], value)

    # another generator's permutations: the same mean within what chance allows
    rng = np.random.default_rng(1)
    draws = [information(anchors.ravel(), np.repeat(rng.permutation(labels), 4)) for _ in range(200)]
    nmi = np.array([d[0]["nmi"] for d in draws])
    permuted = metrics["class_permuted"]
    assert abs(permuted["nmi"] - nmi.mean()) < 5 * nmi.std() / 10 ** 0.5, (permuted, nmi.mean(), nmi.std())
    assert nmi.std() / 4 < permuted["nmi_deviation"] < 3 * nmi.std(), (permuted, nmi.std())
    wanted = np.mean([d[1] for d in draws])
    assert abs(metrics["purity_permuted"] - wanted) < 0.05, (metrics["purity_permuted"], wanted)
    assert made["split"] == "all" and made["settings"]["temperature"] == TEMPERATURE, made

    table = seedctl("eval", "table", os.path.join(folder, "report.json"))
    for name, value in (("class.nmi", of_class["nmi"]), ("position.nmi", metrics["position"]["nmi"]),
                        ("class_permuted.nmi", permuted["nmi"]), ("in_use_share", metrics["in_use_share"])):
        assert f"anchors data/images {name} |" in table and f" {100 * value:.2f} |" in table, (name, table)
    assert "frame_entropy.mean" in seedctl("eval", "anchors", model, IMAGES, "--limit", 20)


def test_deterministic(folder):
    model = make_student(os.path.join(folder, "student"))

    def figures(*more):
        made = report(model, IMAGES, *more)
        return {k: made[k] for k in ("model", "data", "seed", "settings", "metrics")}

    assert figures("--seed", 5) == figures("--seed", 5, "--threads", 1)
    a, b = figures("--seed", 5)["metrics"], figures("--seed", 6)["metrics"]
    assert a["class"] == b["class"] and a["class_permuted"] != b["class_permuted"]
    part = figures("--limit", 40, "--seed", 2)
    assert part["data"]["images"] == 40 and part["metrics"]["words"] == 160


def png(pixels):
    """The bytes of a PNG of uint8 [height, width, 3]."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def unpng(raw):
    """uint8 [height, width, 3] of an RGB PNG with one IDAT."""
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(raw):
        (size,) = struct.unpack(">I", raw[at:at + 4])
        kind, data = raw[at + 4:at + 8], raw[at + 8:at + 8 + size]
        assert struct.unpack(">I", raw[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + data), kind
        chunks[kind] = data
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    out = np.zeros((height + 1, width + 1, 3), int)  # a row and a column of zeros before the first
    for y in range(height):
        kind, line = lines[y, 0], lines[y, 1:].reshape(width, 3).astype(int)
        if kind in (0, 2):
            out[y + 1, 1:] = (line + (out[y, 1:] if kind == 2 else 0)) & 255
        elif kind == 1:
            out[y + 1, 1:] = np.cumsum(line, 0) & 255
        else:
            for x in range(width):
                a, b, c = out[y + 1, x], out[y, x + 1], out[y, x]
                p = a + b - c
                pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
                out[y + 1, x + 1] = (line[x] + ((a + b) // 2 if kind == 3 else paeth)) & 255
    return out[1:, 1:]


def make_colours(folder):
    """Images of one colour each, far from all others, so that a word tells which image it is of."""
    levels = [0, 85, 170, 255]
    colours = np.array([(r, g, b) for r in levels for g in levels for b in levels])[:44]
    for i, colour in enumerate(colours):
        path = os.path.join(folder, "colours", "ab"[i // 22])
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, f"{i:02}.png"), "wb") as out:
            out.write(png(np.tile(colour.astype(np.uint8), (GRID * SIDE, GRID * SIDE, 1))))
    return os.path.join(folder, "colours"), colours


def test_sheet(folder):
    """The words in the tiles are of the images that are nearest by what the graph publishes."""
    model = make_student(os.path.join(folder, "student"))
    images, colours = make_colours(folder)
    # batches that do not divide the set
    made = report(model, images, "--sheet", os.path.join(folder, "sheet.png"), "--batch", 7, "--words", 3)
    assert made["data"]["images"] == 44
    shares = np.log(published(folder, model, images))
    cosines = TEMPERATURE * (shares[..., :K // 2] - shares[..., K // 2:]) / 2
    best = np.concatenate([cosines, -cosines], 2).max(1)  # [images, K]
    with open(os.path.join(folder, "sheet.png"), "rb") as file:
        raw = file.read()
    sheet = unpng(raw)
    tile = 2 * 33 - 1  # two words of 32 pixels in a row, a pixel between
    for k in range(K):
        left, top = 8 + k % 16 * (tile + 6), 8 + 13 + k // 16 * (13 + tile + 6)
        seen = []
        for place in range(3):
            y, x = top + place // 2 * 33, left + place % 2 * 33
            word = sheet[y:y + 32, x:x + 32]
            assert np.abs(word - word[0, 0]).max() <= 2, (k, place)
            seen.append(int(np.abs(colours - word[0, 0]).sum(1).argmin()))
            assert np.abs(colours[seen[-1]] - word[0, 0]).max() <= 8, (k, place, word[0, 0])
        assert len(set(seen)) == 3, (k, seen)
        wanted = np.sort(best[:, k])[::-1][:3]
        assert np.abs(best[seen, k] - wanted).max() < 1e-4, (k, seen, best[seen, k], wanted)

    assert report(model, images, "--sheet", os.path.join(folder, "sheet.SVG"), "--words", 3,
                  "--threads", 1)["metrics"] == made["metrics"]
    root = tree.parse(os.path.join(folder, "sheet.SVG")).getroot()
    (picture,) = root.iter("{http://www.w3.org/2000/svg}image")
    data = picture.get("{http://www.w3.org/1999/xlink}href").split(",", 1)
    assert data[0] == "data:image/png;base64" and (unpng(base64.b64decode(data[1])) == sheet).all()
    titles = [t.text for t in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 1 + K and titles[1].startswith("anchor 0: cosine "), titles[:2]
    first = float(titles[1].split()[3])
    assert abs(first - best[:, 0].max()) < 2e-3, (titles[1], best[:, 0].max())


def test_without_classes(folder):
    model = make_student(os.path.join(folder, "student"))
    made = report(model, os.path.join(IMAGES, "hat"))["metrics"]
    assert made["labelled"] == 0 and made["class"]["nmi"] is None and made["purity"] is None, made
    assert made["position"]["nmi"] > 0 and made["in_use"] > 1, made


def test_errors(folder):
    model = make_student(os.path.join(folder, "student"))
    teacher = random_model(os.path.join(folder, "teacher"), size="mini", seed=7, image_size=32, patch_size=16)
    assert "no image anchors" in seedctl("eval", "anchors", teacher, IMAGES, code=1)
    assert "nowhere" in seedctl("eval", "anchors", os.path.join(folder, "nowhere"), IMAGES, code=1)
    os.mkdir(os.path.join(folder, "empty"))
    seedctl("eval", "anchors", model, os.path.join(folder, "empty"), code=1)
    nowhere = os.path.join(folder, "nowhere", "x.png")
    assert nowhere in seedctl("eval", "anchors", model, IMAGES, "--sheet", nowhere, code=1)
    assert "--test" in seedctl("eval", "anchors", model, IMAGES, "--test", IMAGES, code=1)
    assert "--features" in seedctl("eval", "anchors", model, IMAGES, "--features", "x", code=1)
    assert ".png or .svg" in seedctl("eval", "anchors", model, IMAGES, "--sheet", "x.jpg", code=2)
    assert "only anchors" in seedctl("eval", "knn", model, IMAGES, "--sheet", "x.png", code=2)
    for words in (0, 65):
        assert "--words" in seedctl("eval", "anchors", model, IMAGES, "--words", words, code=2)
    # what is no image is left out and counted; what is no number is an error that names the image
    shutil.copytree(os.path.join(IMAGES, "hat"), os.path.join(folder, "broken", "hat"))
    write(os.path.join(folder, "broken", "hat", "zz.jpg"), "no image")
    assert report(model, os.path.join(folder, "broken"))["data"]["skipped"] == 1
    bad = make_student(os.path.join(folder, "bad"), bad=True)
    said = seedctl("eval", "anchors", bad, IMAGES, "--sheet", os.path.join(folder, "bad.png"), code=1)
    assert "image 0" in said and "not finite" in said, said
    assert not os.path.exists(os.path.join(folder, "bad.png"))


if __name__ == "__main__":
    tap.main([test_figures, test_deterministic, test_sheet, test_without_classes, test_errors])
