#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/fusion/reference.safetensors: whitening, Procrustes and max-min by numpy.

A second implementation of METHOD.md sections 2 and 3, from its formulas: numpy's eigh and svd over
all samples at once. Needs numpy alone. Usage: generate-fusion-fixtures.py [FILE]
"""
import json
import pathlib
import struct
import sys

import numpy as np

FLOOR = 1e-5
SAMPLES, BATCH = 120, 6
DIMS = {"a": 10, "b": 7}
LATENT = 10


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def whiten(samples):
    """mu, W with y = W (x - mu)."""
    x = unit(samples.astype(np.float64))
    mu = x.mean(axis=0)
    values, vectors = np.linalg.eigh((x - mu).T @ (x - mu) / len(x))
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order].T
    peaks = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    vectors *= np.sign(peaks)[:, None]
    return mu, vectors / np.sqrt(np.maximum(values, FLOOR * values[0]))[:, None]


def project(x, mu, w):
    return (unit(x.astype(np.float64)) - mu) @ w.T


def write(path, tensors):
    header, blobs, offset = {}, [], 0
    for name, array in tensors.items():
        blob = np.ascontiguousarray(array, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main():
    default = pathlib.Path(__file__).parents[2] / "data" / "fusion" / "reference.safetensors"
    path = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    rng = np.random.default_rng(20240229)
    z = rng.normal(size=(SAMPLES + 2 * BATCH, LATENT)) + rng.integers(-1, 2, (SAMPLES + 2 * BATCH, 1))
    tensors, similarities, whitened = {}, [], {}
    for name, dim in DIMS.items():
        x = (z @ rng.normal(size=(LATENT, dim)) + rng.normal(size=dim)).astype(np.float32)
        mu, w = whiten(x[:SAMPLES])
        batch = x[SAMPLES:].reshape(BATCH, 2, dim)
        y = unit(project(batch, mu, w))
        whitened[name] = project(x[:SAMPLES], mu, w), y
        similarities.append(y[:, 0] @ y[:, 1].T)
        tensors |= {f"{name}.samples": x[:SAMPLES], f"{name}.batch": batch, f"{name}.whitened": y}
    s = np.stack(similarities)
    tensors["max-min"] = np.where(np.eye(BATCH, dtype=bool), s.max(axis=0), s.min(axis=0))
    p, _, qt = np.linalg.svd(whitened["b"][0].T @ whitened["a"][0], full_matrices=False)
    tensors["b.aligned"] = whitened["b"][1] @ (p @ qt)
    tensors["mean-feature"] = unit((whitened["a"][1] + tensors["b.aligned"]) / 2)
    write(path, tensors)


if __name__ == "__main__":
    main()
