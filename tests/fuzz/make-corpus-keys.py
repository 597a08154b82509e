#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the first inputs of the fuzz targets keys, zap and subscriptions into corpus/.

Inputs that a fuzzer found are added to the folders as files of their own.
"""
import pathlib

CORPUS = pathlib.Path(__file__).parent / "corpus"
PUBLIC = b"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
SECRET = b"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
CURVE = b"curve\n    public-key = \"" + PUBLIC + b"\"\n"


def frames(*parts):
    return b"".join(bytes([len(part)]) + part for part in parts)


def messages(*parts):
    return b"".join(bytes([who, len(part)]) + part for who, part in parts)


def request(mechanism=b"CURVE", *credentials):
    return (b"1.0", b"1", b"seed-0", b"127.0.0.1", b"", mechanism, *credentials)


FILES = {
    "keys": {
        "public": CURVE,
        "pair": b"metadata\n    name = \"a b\"\n" + CURVE + b"    secret-key = '" + SECRET + b"'\n",
        "rights": CURVE + b"rights\n    results = \"lobby/, yard/-/*\"\n    control = list\n",
        "everything": CURVE + b"rights\n    results = *\n    control = \"*\"\n",
        "bare": b"# c\r\n\r\ncurve # c\r\n\tpublic-key=" + PUBLIC + b"\r\n",
        "begins-as-a-topic": b"metadata\n    l = l\n" + CURVE + b"rights\n    results = \"m, me, metadata\"\n",
        "not-a-topic": CURVE + b"rights\n    results = \"a b\"\n",
        "empty": b"", "no-key": b"curve\n", "no-section": b"    a = b\n", "unknown": b"zebra\n",
        "twice": CURVE + CURVE, "open-quote": b"curve\n    public-key = \"" + PUBLIC + b"\n",
        "short": b"curve\n    public-key = abc\n", "control": b"metadata\n    name = \"\x01\"\n",
        "not-utf8": b"metadata\n    name = \xff\n", "nul": b"metadata\n    name = a\0b\n" + CURVE,
        "both-quotes": b"metadata\n    name = a\"b'c\n" + CURVE, "many": CURVE + b"rights\n    results = " + b"a," * 300,
        "long-item": CURVE + b"rights\n    results = " + b"a" * 300, "no-newline": CURVE[:-1],
    },
    "zap": {
        "curve": frames(*request(b"CURVE", b"k" * 32)), "null": frames(*request(b"NULL")),
        "empty": b"", "short": frames(*request()[:4]), "no-key": frames(*request()),
        "key-size": frames(*request(b"CURVE", b"k" * 31)), "two-keys": frames(*request(b"CURVE", b"k" * 32, b"k" * 32)),
        "plain": frames(*request(b"PLAIN", b"a", b"b")), "version": frames(b"2.0", *request(b"NULL")[1:]),
        "domain-nul": frames(b"1.0", b"1", b"a\0b", b"", b"", b"NULL"), "no-domain": frames(b"1.0", b"1", b"", b"", b"", b"NULL"),
        "many": frames(*[b"x"] * 30), "cut": frames(*request(b"CURVE", b"k" * 32))[:-5],
    },
    "subscriptions": {
        "one": messages((0, b"\x01lobby/")), "ends": messages((0, b"\x01lobby/"), (0, b"\x00lobby/")),
        "twice": messages((0, b"\x01a"), (0, b"\x01a"), (0, b"\x00a"), (0, b"\x00a")),
        "narrowed": messages((0, b"\x01lobby/cam1/"), (0, b"\x01lobby/cam2/"), (0, b"\x00lobby/cam1/"), (0, b"\x00lobby/cam2/")),
        "leaves": messages((0, b"\x01a"), (128, b""), (0, b"\x00a"), (0, b"\x01b")),
        "too-many": messages(*[(i % 3, b"\x01%d" % i) for i in range(40)]),
        "too-long": messages((0, b"\x01" + b"x" * 200), (1, b"\x01" + b"x" * 60), (2, b"\x01" + b"x" * 60), (3, b"\x01" + b"x" * 60)),
        "garbage": messages((0, b""), (0, b"\x02x"), (0, b"\x01")), "empty": b"", "cut": b"\x00\xff\x01a",
    },
}

for target, files in FILES.items():
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (CORPUS / target / name).write_bytes(data)
