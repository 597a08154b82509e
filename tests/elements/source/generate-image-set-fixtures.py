#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/imagesets: the same twelve small pictures in every form that a set may have, and
broken ones. Only Python's own modules; the same bytes every time.
"""
import gzip
import io
import pathlib
import shutil
import struct
import tarfile
import zlib

OUT = pathlib.Path(__file__).parents[2] / "data" / "imagesets"
CLASSES = ["cat", "dog", "owl"]
SIDE = 32


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(seed, width=16, height=12):
    """A picture of its own for each seed."""
    rows = b"".join(
        b"\0" + bytes((seed * 41 + 7 * x * (c + 1) + 11 * y) % 256 for x in range(width) for c in range(3))
        for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) +
            chunk(b"IEND", b""))


PICTURES = {f"{name}/{i}.png": png(4 * k + i) for k, name in enumerate(CLASSES) for i in range(4)}


def member(name, data=b"", kind=tarfile.REGTYPE, target="", **more):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.type = kind
    info.linkname = target
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(members, form=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data) if data else None)
    return out.getvalue()


def reheader(block, **fields):
    """A header with some of its bytes replaced, and the right sum."""
    places = {"name": 0, "size": 124, "type": 156, "extended": 482}
    block = bytearray(block)
    for key, value in fields.items():
        block[places[key]:places[key] + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def header(info):
    return info.tobuf(tarfile.USTAR_FORMAT)[:512]


def padded(data):
    return data + b"\0" * (-len(data) % 512)


END = b"\0" * 1024


def write(name, data):
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_trees():
    tree = [member(f"tree/{name}", data) for name, data in PICTURES.items()]
    shuffled = tree[5:] + tree[:5]  # archives are not sorted
    plain = tar(shuffled)
    deep = "tree/" + "long-folder-name/" * 8
    for name, data in PICTURES.items():
        write(f"tree/{name}", data)
    write("tree.tar", plain)
    write("gnu.tar", tar([member(deep + name, data) for name, data in PICTURES.items()], tarfile.GNU_FORMAT))
    write("pax.tar", tar([member(deep + name, data, pax_headers={"comment": "x" * 300})
                          for name, data in PICTURES.items()], tarfile.PAX_FORMAT))
    write("tree.tar.gz", gzip.compress(plain, mtime=0))
    half = len(plain) // 2
    write("two-members.tar.gz", gzip.compress(plain[:half], mtime=0) + gzip.compress(plain[half:], mtime=0))

    # the last member in the archive is cat/4: its data is cut
    at = plain.rindex(b"\x89PNG")
    write("cut.tar", plain[:at + 60])
    write("cut.tar.gz", gzip.compress(plain, mtime=0)[:-700])
    damaged = bytearray(plain)
    damaged[plain.index(b"tree/owl/2.png")] ^= 0xff
    write("damaged.tar", bytes(damaged))
    bad = [member(f"tree/{name}", data if name != "dog/1.png" else data[:70]) for name, data in PICTURES.items()]
    write("bad-member.tar", tar(bad))
    write("not-tar.gz", gzip.compress(b"a letter\n" * 200, mtime=0))
    write("trailing.tar.gz", gzip.compress(plain, mtime=0) + b"rubbish")


def write_hostile():
    good = PICTURES["cat/0.png"]
    out = tar([
        member("x/a/first.png", good),
        member("../../etc/passwd.png", good),
        member("x/b/../../../up.png", good),
        member("/x/b/absolute.png", good),
        member("./x//b/./dots.png", good),
        member("x/b/link.png", kind=tarfile.SYMTYPE, target="/etc/passwd"),
        member("x/b/hard.png", kind=tarfile.LNKTYPE, target="x/a/first.png"),
        member("x/b/nowhere.png", kind=tarfile.LNKTYPE, target="x/c/later.png"),
        member("x/b/fifo.png", kind=tarfile.FIFOTYPE),
        member("x/b/device.png", kind=tarfile.CHRTYPE),
        member("x/b/.hidden.png", good),
        member("x/b/._fork.png", good),
        member("x/b/empty.png"),
        member("x/b/notes.txt", b"no picture\n"),
        member("x/b/twice.png", PICTURES["owl/0.png"]),
        member("x/b/twice.png", PICTURES["owl/1.png"]),
    ])[:-1024]
    out = padded(out.rstrip(b"\0"))
    sparse = header(member("x/b/sparse.png", good)[0])
    out += reheader(sparse, type=b"S", extended=b"\1") + b"\0" * 504 + b"\1" + b"\0" * 7 + b"\0" * 512 + padded(good)
    pax = b"22 GNU.sparse.major=1\n"
    out += header(member("pax", pax, kind=tarfile.XHDTYPE)[0]) + padded(pax)
    out += header(member("x/b/pax-sparse.png", good)[0]) + padded(good)
    pax = b"99 path=lies\n"
    out += header(member("pax", pax, kind=tarfile.XHDTYPE)[0]) + padded(pax)
    out += header(member("x/b/bad-pax.png", good)[0]) + padded(good)
    long = b"n" * 70000
    out += header(member("long", long, kind=tarfile.GNUTYPE_LONGNAME)[0]) + padded(long)
    out += header(member("x/b/long.png", good)[0]) + padded(good)
    out += header(member("x/b/last.png", good)[0]) + padded(good)
    write("hostile.tar", out + END)
    first = header(member("x/a/1.png", good)[0]) + padded(good)
    huge = header(member("x/b/huge.png", good)[0])
    write("huge.tar", first + reheader(huge, size=b"77777777777\0") + good)
    binary = b"\x80" + b"\xff" * 11
    write("overflow.tar", first + reheader(huge, size=binary) + END)
    write("negative.tar", reheader(huge, size=b"\xff" * 12) + END)
    write("empty.tar", END)


def record(labels, seed):
    """Planes of (seed + 3x + 5y + 50c)."""
    return bytes(labels) + bytes(
        (seed + 3 * x + 5 * y + 50 * c) % 256 for c in range(3) for y in range(SIDE) for x in range(SIDE))


CIFAR_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def write_cifar():
    first = b"".join(record([(3 * i) % 10], i) for i in range(6))
    second = b"".join(record([9 - i], 6 + i) for i in range(3))
    files = {"data_batch_1.bin": first, "data_batch_2.bin": second,
             "test_batch.bin": record([5], 100),
             "batches.meta.txt": "".join(f"{n}\n" for n in CIFAR_NAMES).encode() + b"\n",
             "readme.html": b"<html></html>\n"}
    for name, data in files.items():
        write(f"cifar10/{name}", data)
    write("cifar10.tar.gz", gzip.compress(
        tar([member(f"cifar-10-batches-bin/{n}", d) for n, d in files.items()]), mtime=0))
    write("cut.bin", first[:-1000])
    bad = bytearray(first)
    bad[2 * 3073] = 77
    write("bad-label.bin", bytes(bad))
    write("noise.bin", bytes((i * i >> 3) % 251 for i in range(9000)))
    write("cifar100/train.bin", b"".join(record([i, 7 * i], i) for i in range(5)))
    write("cifar100/fine_label_names.txt", "".join(f"fine{i:02d}\n" for i in range(100)).encode())


def write_lists():
    names = list(PICTURES)
    write("list.csv", "".join(f"tree/{n},{n.split('/')[0]}\n" for n in names).encode())
    write("list.tsv", b"\xef\xbb\xbf" + "".join(f"tree/{n}\t{n.split('/')[0]}\r\n" for n in names).encode())
    write("names.txt", "owl\ndog\ncat\n".encode())
    write("column.txt", "".join(f"{i % 2}\n" for i in range(len(names))).encode())
    write("by-path.tsv", "".join(f"{n}\tkind-{int(n[-5]) % 2}\n" for n in names[1:]).encode())
    write("utf8.tsv", "cat/0.png\tune chatte \u00e0 l'\u00e9cart\n".encode() * 2)
    # as captioned sets come: lists beside folders, images inside
    flat = [f"{n.replace('/', '_')}" for n in names]
    for name, data in zip(flat[:6], PICTURES.values()):
        write(f"captioned/train/images/{name}", data)
    write("captioned/train.tsv", "".join(
        f"{n}\t{k}\tpicture {i}, line {k}\n" for i, n in enumerate(flat[:5]) for k in range(1 + i % 3)).encode())
    write("captioned/plain.tsv", "".join(
        f"{n}\tonly {i} \u00e9\n" for i, n in enumerate(flat[:6])).encode())
    write("captioned/flickr.txt", "".join(
        f"{n}#{k}\tsays {i}.{k}\n" for i, n in enumerate(flat[:6]) for k in range(2)).encode())
    write("captioned/partly.tsv", f"{flat[0]}\there\nelsewhere.jpg\tnot here\n".encode())
    write("broken-captions.tsv", b"a.png\tgood\nb.png no tab\n")
    write("broken-utf8.tsv", b"a.png\tgood\nb.png\t\xff\xfe\n")
    write("broken-empty.tsv", b"a.png\t \n")
    write("broken-columns.tsv", b"a.png\tx\ty\n")
    write("broken-missing.tsv", b"\tno image\n")
    write("broken-nul.tsv", b"a.png\t\0\n")


shutil.rmtree(OUT, ignore_errors=True)
write_trees()
write_hostile()
write_cifar()
write_lists()
