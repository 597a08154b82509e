#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes corpus/tokenizer: one byte for what follows (see fuzz-tokenizer.c), then the input."""
import os
import struct

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "tokenizer")


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def flag(number, value):
    return varint(number << 3) + varint(value)


def piece(text, score, kind=1):
    return field(1, field(1, text) + b"\x15" + struct.pack("<f", score) + flag(3, kind))


def unit(label, offset, leaf=False):
    return struct.pack("<I", offset << 10 | leaf << 8 | label)


def model(extra=b"", pieces=b"", normalizer=b""):
    return (piece(b"<unk>", 0, 2) + piece(b"</s>", 0, 3) + piece("▁a".encode(), -1) + piece(b"a", -2) +
            piece(b"ab", -2.5) + piece("é".encode(), -3) + pieces + field(3, normalizer) + extra)


def charsmap():
    # "A" -> "a": root, its child 'A' at 65, whose leaf is at 65 ^ 2
    units = [struct.pack("<I", 0)] * 256
    units[65] = unit(65, 2, True)
    units[65 ^ 2] = struct.pack("<I", 1 << 31)
    trie = b"".join(units)
    return struct.pack("<I", len(trie)) + trie + b"a\0"


GOOD_JSON = (b'{"added_tokens":[{"id":5,"content":"<x>","lstrip":true,"special":true}],"model":{"type":"BPE",'
             b'"vocab":{"a":0,"b":1,"a</w>":2,"b</w>":3,"ab":4,"<x>":5,"ab</w>":6},"merges":["a b",["a","b</w>"]]}}')

CORPUS = {
    "unigram": b"uab a\xc3\xa9 zz\n" + model(),
    "unigram-charsmap": b"uAb AA\n" + model(normalizer=field(2, charsmap())),
    "unigram-charsmap-length": b"uAb\n" + model(normalizer=field(2, b"\xff\xff\xff\x7f" + charsmap()[4:])),
    "unigram-charsmap-offset": b"uAb\n" + model(normalizer=field(2, charsmap()[:-2])),
    "unigram-charsmap-long": b"uAb\n" + model(normalizer=field(2, charsmap()[:-2] + b"a" * 100 + b"\0")),
    "unigram-user-defined": b"uaaabab\n" + model(pieces=piece(b"aab", -9, 4)),
    "unigram-bytes": b"uaz\n" + model(extra=field(2, flag(35, 1)), pieces=b"".join(
        piece(b"<0x%02X>" % b, 0, 6) for b in range(256))),
    "unigram-bytes-few": b"uaz\n" + model(extra=field(2, flag(35, 1)), pieces=piece(b"<0x00>", 0, 6)),
    "unigram-doubled": b"ua\n" + model(pieces=piece(b"a", -3)),
    "unigram-nan": b"ua\n" + model(pieces=piece(b"q", float("nan"))),
    "unigram-huge-score": b"uaaaa\n" + model(pieces=piece(b"aa", 3e38) + piece(b"aaa", -3e38)),
    "unigram-bpe": b"ua\n" + model(extra=field(2, flag(3, 2))),
    "unigram-no-unknown": b"ua\n" + piece(b"a", -1),
    "unigram-cut": b"ua\n" + model()[:-3],
    "unigram-lying-length": b"ua\n\x0a\xff\xff\xff\xff\x0f",
    "unigram-varint": b"ua\n" + b"\xff" * 12,
    "unigram-not-utf8": b"ua\n" + model(pieces=piece(b"\xff\xfe", -1)),
    "unigram-empty": b"ua\n",
    "json": b"j" + GOOD_JSON,
    "json-merge-missing": b"j" + GOOD_JSON.replace(b'"a b"', b'"a c"'),
    "json-merge-three": b"j" + GOOD_JSON.replace(b'["a","b</w>"]', b'["a","b","c"]'),
    "json-wrong-type": b"j" + GOOD_JSON.replace(b'"BPE"', b'"Unigram"'),
    "json-huge-id": b"j" + GOOD_JSON.replace(b'"b":1', b'"b":4294967295'),
    "json-cut": b"j" + GOOD_JSON[:-9],
    "json-merges-first": b'j{"model":{"merges":["a b"],"vocab":{"a":0,"b":1,"ab":2}}}',
    "config-negative-limit": b'c{"model_max_length":-1000000000000000019884624838656}',
    "config-tokenizer": b'c{"model_max_length":1000000000000000019884624838656,"pad_token":{"content":"!"},'
                        b'"added_tokens_decoder":{"0":{"content":"!","single_word":false}},"strip_accents":null}',
    "config-model": b'c{"model_type":"clip","text_config":{"hidden_size":16,"num_attention_heads":2}}',
    "config-pooling": b'c{"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true}',
    "config-modules": b'c[{"path":"","type":"x.Transformer"},{"path":"1","type":"x.Pooling"},{"type":"x.Normalize"}]',
    "config-deep": b"c" + b'{"a":' * 100,
    "merges": b"m#version: 0.2\na b\na b</w>\n",
    "merges-same": b"m\na a\na b\na b\n",
    "merges-spaces": b"m\na  b\n",
    "merges-unknown": b"m\na q\n",
    "vocab": b"v[PAD]\r\n[UNK]\nab\n\n",
    "vocab-empty-lines": b"v\n\nab\n",
    "vocab-long": b"v" + b"x" * 2000,
    "vocab-not-utf8": b"v\xc3\n",
    "text-clip": "Cab aab's <|endoftext|>!! é１²".encode(),
    "text-clip-marks": "Ce\u0301\u0323 \u0130 \u200b\u3000ab".encode(),
    "text-clip-long": b"C" + b"ab" * 500,
    "text-bert": "Bab [SEP] É!!日本 \u0085\ufffd\u200d".encode(),
    "text-bert-long": b"B" + b"a" * 300 + b" " + "é".encode() * 101,
    "text-not-utf8": b"B\xed\xa0\x80",
}

os.makedirs(OUT, exist_ok=True)
for name, data in CORPUS.items():
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(data)
