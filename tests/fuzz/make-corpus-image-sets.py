#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the first inputs of the fuzz targets tar and image-list from the fixtures of image sets.

Inputs that a fuzzer found are added to the folders as files of their own.
"""
import pathlib
import shutil

HERE = pathlib.Path(__file__).parent
SETS = HERE.parent / "data" / "imagesets"
CORPUS = HERE / "corpus"

TARS = ["tree.tar.gz", "two-members.tar.gz", "trailing.tar.gz", "cut.tar.gz", "not-tar.gz", "cut.tar",
        "huge.tar", "overflow.tar", "negative.tar", "empty.tar", "pax.tar", "gnu.tar"]
LISTS = ["list.csv", "list.tsv", "names.txt", "by-path.tsv", "utf8.tsv", "captioned/train.tsv", "captioned/flickr.txt",
         "captioned/partly.tsv", "broken-captions.tsv", "broken-utf8.tsv", "broken-empty.tsv", "broken-columns.tsv",
         "broken-missing.tsv", "broken-nul.tsv"]

for target, names in ("tar", TARS), ("image-list", LISTS):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    for name in names:
        data = (SETS / name).read_bytes()
        if target == "tar" and not name.endswith(".gz"):
            data = data[:6000]  # small inputs are searched faster
        (CORPUS / target / pathlib.Path(name).name).write_bytes(data)
# without the long name, which a fuzzer would only copy
data = (SETS / "hostile.tar").read_bytes()
at = data.index(b"n" * 1000) - 512
(CORPUS / "tar" / "hostile.tar").write_bytes(data[:at] + b"\0" * 1024)
