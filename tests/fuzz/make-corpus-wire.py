#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the first inputs of the fuzz target wire into corpus/wire/.

Inputs that a fuzzer found are added to the folder as files of their own.
"""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus" / "wire"

HEADER = {
    "v": 1, "seq": 0, "graph": "g", "node": "N.n", "stream": "-", "kind": "embedding", "frame": 1,
    "pts_ns": None, "capture_ns": 2**63 - 1, "publish_ns": 5,
    "model": {"name": "m\u00e9\U0001f331", "sha256": "ab" * 32, "step": 3},
    "tensors": [{"name": "embedding", "dtype": "float32", "shape": [2], "part": 2}],
    "data": {"space": "s", "x": [1.5e-300, -0.0, True, None, {"deep": {}}]},
}
TOPIC = b"g/-/embedding/N.n/"


def message(*parts):
    return bytes([len(parts)]) + b"".join(struct.pack("<H", len(p)) + p for p in parts)


def header(**changes):
    changed = {**HEADER, **changes}
    return json.dumps({k: v for k, v in changed.items() if v != "gone"}, separators=(",", ":")).encode()


def tensor(**changes):
    return [{**HEADER["tensors"][0], **changes}]


FILES = {
    "good": message(TOPIC, header(), b"12345678"),
    "good-bare": message(TOPIC, header(model=None, tensors=[], data={})),
    "good-scalar": message(TOPIC, header(tensors=tensor(shape=[], dtype="float64")), b"12345678"),
    "good-two": message(
        TOPIC, header(tensors=tensor(part=3) + tensor(name="b", dtype="bool", shape=[0, 7])), b"", b"12345678"),
    "good-exponent": message(TOPIC, header(data={"space": "s", "x": [5e-300, 1e22]}), b"12345678"),
    "anchors": message(b"g/-/anchors/N.n/", header(kind="anchors", data={}, tensors=tensor(
        name="histogram", shape=[256])), b"\0\0\x80?" * 256),
    "anchors-nan": message(b"g/-/anchors/N.n/", header(kind="anchors", data={"grid": 2}, tensors=tensor(
        name="histogram", shape=[256]) + tensor(name="heatmaps", part=3, shape=[1, 2, 2])), b"\xff" * 1024, b"1234" * 4),
    "labels": message(b"g/-/labels/N.n/", header(kind="labels", tensors=[], data={"labels": [{"label": 1, "score": 2}]})),
    "labels-mixed": message(b"g/-/labels/N.n/", header(kind="labels", tensors=[], data={
        "labels": [{"label": 1}, {"label": 2, "name": "b"}]})),
    "labels-empty": message(b"g/-/labels/N.n/", header(kind="labels", tensors=[], data={"labels": []})),
    "neighbours": message(b"g/-/neighbours/N.n/", header(kind="neighbours", tensors=[], data={
        "space": "s", "neighbours": [{"id": "a", "score": 0.5}]})),
    "grounding": message(b"g/-/grounding/N.n/", header(kind="grounding", tensors=[], data={
        "query": "q", "spans": [{"start_ns": 0, "end_ns": 2**62, "score": -1}]})),
    "event": message(b"g/-/event/N.n/", header(kind="event", tensors=[], data={"event": "scene-cut"})),
    "unknown-keys": message(TOPIC, header(later=[1]), b"12345678"),
    "empty": b"",
    "no-parts": message(),
    "topic-only": message(TOPIC),
    "topic-short": message(b"g/-/embedding/", header(), b"12345678"),
    "topic-other": message(b"g/s/embedding/N.n/", header(), b"12345678"),
    "not-json": message(TOPIC, b"\x00\xff{", b"12345678"),
    "comment": message(TOPIC, b"/**/" + header(), b"12345678"),
    "deep": message(TOPIC, b"[" * 60000),
    "key-missing": message(TOPIC, header(seq="gone"), b"12345678"),
    "key-doubled": message(TOPIC, b'{"v":1,"v":1}', b"12345678"),
    "wrong-type": message(TOPIC, header(frame="1"), b"12345678"),
    "negative": message(TOPIC, header(seq=-1), b"12345678"),
    "too-large": message(TOPIC, header(seq=2**63), b"12345678"),
    "nan": message(TOPIC, header(data={"a": float("nan")}), b"12345678"),
    "surrogate": message(TOPIC, header(data={}).replace(b'"data":{}', b'"data":{"a":"\\ud800"}'), b"12345678"),
    "part-size": message(TOPIC, header(), b"1234567"),
    "part-range": message(TOPIC, header(tensors=tensor(part=9)), b"12345678"),
    "part-twice": message(TOPIC, header(tensors=tensor() + tensor(name="b")), b"12345678", b"12345678"),
    "overflow": message(TOPIC, header(tensors=tensor(shape=[2**32, 2**32])), b"12345678"),
    "nine-dims": message(TOPIC, header(tensors=tensor(shape=[1] * 8 + [2])), b"12345678"),
    "many-parts": message(TOPIC, header(), *[b""] * 200),
    "cut": message(TOPIC, header(), b"12345678")[:100],
}

CORPUS.mkdir(parents=True, exist_ok=True)
for name, data in FILES.items():
    (CORPUS / name).write_bytes(data)
