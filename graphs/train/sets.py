#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs public image sets into the three files that the recipes beside it learn from.

usage: sets.py DATA OUT

DATA holds cifar10, caltech101, clothing10, openclipart and tuxpaint_stamps as docs/results.md describes them; OUT gets
  labels.tar    CIFAR-10, Caltech-101 and Clothing with a folder for each of their 120 classes
  images.tar    these and the drawings of Open Clip Art and Tux Paint, without any label: what students see
  captions.tar  the images of both, a part of CIFAR-10 among them, and
  captions.tsv  what each of them shows: a caption of its own, or its class in some words
Small sets are in a tar file more than once (as hard links), so that an epoch is not CIFAR-10 alone. The same
DATA gives the same bytes.
"""
import io
import pathlib
import sys
import tarfile

TEMPLATES = ("a photo of {}", "a picture of {}", "{}", "this is {}", "a small photo of {}")
NAMES = {"Faces": "a face", "Leopards": "a leopard", "Motorbikes": "a motorbike", "airplanes": "an airplane",
         "pants": "pants", "shoes": "shoes", "shorts": "shorts", "outwear": "a jacket", "longsleeve": "a long sleeve shirt"}
CIFAR_IN_CAPTIONS = 1000  # images of each class


def phrase(name):
    name = NAMES.get(name, name)
    words = name.replace("_", " ").replace("-", " ").lower()
    if name in NAMES.values():
        return words
    return ("an " if words[0] in "aeiou" else "a ") + words


class Pack:
    def __init__(self, path):
        self.tar = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)
        self.count = 0

    def add(self, name, data, times=1):
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        self.tar.addfile(entry, io.BytesIO(data))
        for i in range(1, times):
            again = tarfile.TarInfo(str(pathlib.PurePath(name).with_suffix(f".{i}.jpg")))
            again.type, again.linkname = tarfile.LNKTYPE, name
            self.tar.addfile(again)
        self.count += times


def cifar(data):
    with tarfile.open(data / "cifar10" / "train.tar.gz") as tar:
        for member in tar:
            if member.isfile():
                _, name, image = member.name.split("/")
                yield name, image, tar.extractfile(member).read()


def folders(data, name):
    for image in sorted((data / name / "train").glob("*/*.jpg")):
        yield image.parent.name, image.name, image.read_bytes()


def captioned(data, name):
    lines = (data / name / "train.tsv").read_text(encoding="utf-8").splitlines()
    for line in lines:
        image, caption = line.split("\t", 1)
        yield image, caption, (data / name / "train" / "images" / image).read_bytes()


def main():
    data, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    labels, images, captions = (Pack(out / f"{name}.tar") for name in ("labels", "images", "captions"))
    told = []
    taken = {}
    for name, image, content in cifar(data):
        labels.add(f"cifar10-{name}/{image}", content)
        images.add(f"cifar10/{name}-{image}", content)
        taken[name] = taken.get(name, 0) + 1
        if taken[name] <= CIFAR_IN_CAPTIONS:
            captions.add(f"images/cifar10-{name}-{image}", content)
            told += [(f"cifar10-{name}-{image}", t.format(phrase(name))) for t in TEMPLATES]
    for source in ("caltech101", "clothing10"):
        for name, image, content in folders(data, source):
            labels.add(f"{source}-{name}/{image}", content, 3)
            images.add(f"{source}/{name}-{image}", content, 3)
            captions.add(f"images/{source}-{name}-{image}", content)
            told += [(f"{source}-{name}-{image}", t.format(phrase(name))) for t in TEMPLATES]
    for source in ("openclipart", "tuxpaint_stamps"):
        for image, caption, content in captioned(data, source):
            images.add(f"{source}/{image}", content, 3)
            captions.add(f"images/{source}-{image}", content)
            told.append((f"{source}-{image}", caption))
    with open(out / "captions.tsv", "w", encoding="utf-8") as file:
        for image, caption in told:
            file.write(f"{image}\t{caption}\n")
    for pack in (labels, images, captions):
        pack.tar.close()
        print(f"{pack.tar.name}: {pack.count} images")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
