#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/patchify/*.resample: what Pillow makes of small synthetic images.

A file is one line of text, then S * S * 3 bytes (R, G, B interleaved), Pillow's result:

    FILTER PATTERN WIDTHxHEIGHT S x0 y0 x1 y1

The image itself is not stored; pattern() below and make_pattern() of test-frames.h give the same
bytes. Run: python3 generate-resample-fixtures.py (needs Pillow; files are written for 9.4).
"""
import pathlib

from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "data" / "patchify"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

# name, pattern, width, height, S, box (None: all)
CASES = [
    ("down", "noise", 97, 61, 24, None),
    ("down-far", "noise", 321, 179, 16, None),
    ("up", "noise", 7, 5, 32, None),
    ("up-one", "noise", 1, 1, 8, None),
    ("same", "noise", 24, 24, 24, None),
    ("column", "noise", 1, 50, 8, None),
    ("box", "noise", 120, 90, 32, (10.25, 3.5, 99.75, 80.125)),
    ("box-small", "noise", 64, 48, 32, (20.1, 30.2, 28.9, 36.3)),
    ("box-mixed", "noise", 200, 20, 24, (50.0, 2.5, 190.0, 17.0)),
    ("extreme", "extreme", 80, 80, 32, None),
    ("extreme-up", "extreme", 20, 16, 32, None),
    ("smooth", "smooth", 160, 120, 32, None),
]


def pattern(name, size):
    """size bytes; the same generator as make_pattern() in test-frames.h."""
    out, state = bytearray(size), 12345
    for i in range(size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        if name == "noise":
            out[i] = state >> 24
        elif name == "extreme":
            out[i] = 255 if state >> 31 else 0
        else:
            out[i] = (i // 5) & 255
    return bytes(out)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for filter_name, resampling in FILTERS.items():
        for name, kind, width, height, size, box in CASES:
            image = Image.frombytes("RGB", (width, height), pattern(kind, width * height * 3))
            box = box or (0, 0, width, height)
            small = image.resize((size, size), resampling, box=box)
            head = f"{filter_name} {kind} {width}x{height} {size} " + " ".join(map(str, box)) + "\n"
            (FOLDER / f"{filter_name}-{name}.resample").write_bytes(head.encode() + small.tobytes())


if __name__ == "__main__":
    main()
