#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/text: small vocabularies, and what the reference tokenizers make of them.

Needs transformers 4.46, tokenizers 0.20 and sentencepiece 0.2 (PyPI).
  generate-text-fixtures.py tokenizers CAPTIONS.tsv    the tiny vocabularies, trained on the first captions
                                                       (second column), and cases.json
  generate-text-fixtures.py models                     random models beside them, and models.json with
                                                       their embeddings (also needs torch)
  generate-text-fixtures.py real SHARED_DATA           real.json: digests of the ids of all captions there
"""
import gzip
import hashlib
import io
import json
import os
import struct
import sys
import tempfile
import unicodedata

import sentencepiece
import tokenizers
from transformers import (BertTokenizer, BertTokenizerFast, CLIPTokenizer, CLIPTokenizerFast,
                          SiglipTokenizer)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from text_cases import HAND_MADE, cases  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.normpath(os.path.join(HERE, "..", "..", "data", "text"))
CLIP_MAX, BERT_MAX, SIGLIP_MAX = 77, 48, 64
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
N_CAPTIONS = 600


def folder(name):
    path = os.path.join(OUT, name)
    os.makedirs(path, exist_ok=True)
    return path


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")


def read_captions(path):
    with open(path, encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t", 1)[1] for line in f if "\t" in line]


def train_clip(lines):
    """vocab.json and merges.txt; the same again as one tokenizer.json."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    model.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.NFC(), tokenizers.normalizers.Lowercase()])
    model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Split(
            tokenizers.Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"),
            behavior="removed", invert=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)])
    model.train_from_iterator(lines, tokenizers.trainers.BpeTrainer(
        vocab_size=900, end_of_word_suffix="</w>", show_progress=False,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[]))
    trained = json.loads(model.to_str())["model"]
    vocab = dict(trained["vocab"])
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocab[token] = len(vocab)
    path = folder("clip")
    write_json(os.path.join(path, "vocab.json"), vocab)
    with open(os.path.join(path, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n")
        for merge in trained["merges"]:
            f.write((merge if isinstance(merge, str) else " ".join(merge)) + "\n")
    fast = CLIPTokenizerFast(os.path.join(path, "vocab.json"), os.path.join(path, "merges.txt"))
    fast.backend_tokenizer.save(os.path.join(folder("clip-json"), "tokenizer.json"), pretty=False)
    # a pad token of its own, added tokens of several kinds
    config = {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "!",
        "bos_token": {"__type": "AddedToken", "content": "<|startoftext|>", "lstrip": False,
                      "normalized": True, "rstrip": False, "single_word": False},
        "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
        "added_tokens_decoder": {
            str(vocab["<|startoftext|>"]): dict(content="<|startoftext|>", lstrip=False, normalized=True,
                                                rstrip=False, single_word=False, special=True),
            str(vocab["<|endoftext|>"]): dict(content="<|endoftext|>", lstrip=True, normalized=False,
                                              rstrip=True, single_word=False, special=True),
            str(len(vocab)): dict(content="<Sks Dog>", lstrip=False, normalized=True, rstrip=False,
                                  single_word=False, special=False)}}
    write_json(os.path.join(folder("clip-json"), "tokenizer_config.json"), config)


def train_bert(lines):
    model = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    model.normalizer = tokenizers.normalizers.BertNormalizer()
    model.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    model.train_from_iterator(lines, tokenizers.trainers.WordPieceTrainer(
        vocab_size=800, special_tokens=BERT_SPECIALS, show_progress=False, limit_alphabet=400))
    vocab = model.get_vocab()
    with open(os.path.join(folder("bert"), "vocab.txt"), "w", encoding="utf-8") as f:
        for token in sorted(vocab, key=vocab.get):
            f.write(token + "\n")
    cased = BertTokenizerFast(os.path.join(OUT, "bert", "vocab.txt"), do_lower_case=False)
    cased.backend_tokenizer.save(os.path.join(folder("bert-cased"), "tokenizer.json"), pretty=False)
    write_json(os.path.join(OUT, "bert-cased", "tokenizer_config.json"), {
        "tokenizer_class": "BertTokenizer", "do_lower_case": False, "tokenize_chinese_chars": False,
        "model_max_length": 512})


def normalization_rules():
    """NFKC of some blocks: the whole of it takes 240 kB in a model."""
    rules = {(0x200b,): (), (0xad,): (), (0x9,): (0x20,), (0xa,): (0x20,), (0xd,): (0x20,), (0x2028,): (0x20,)}
    blocks = [(0xa0, 0x17f), (0x1e00, 0x1eff), (0x2000, 0x206f), (0x2100, 0x214f), (0x2160, 0x217f),
              (0x2460, 0x2473), (0x3000, 0x3000), (0xfb00, 0xfb06), (0xfdfa, 0xfdfa), (0xff01, 0xff9f),
              (0x1d400, 0x1d433)]
    for first, last in blocks:
        for code in range(first, last + 1):
            composed = unicodedata.normalize("NFKC", chr(code))
            if composed != chr(code):
                rules[(code,)] = tuple(map(ord, composed))
            decomposed = unicodedata.normalize("NFD", chr(code))
            if 1 < len(decomposed) <= 3:
                rules[tuple(map(ord, decomposed))] = tuple(map(ord, composed))
    return "".join("\t".join(" ".join(f"{c:X}" for c in side) for side in rule) + "\n"
                   for rule in sorted(rules.items()))


def train_sentencepiece(lines):
    def train(name, **options):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model, model_type="unigram", minloglevel=2,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1, **options)
        with open(os.path.join(folder(name), "spiece.model"), "wb") as f:
            f.write(model.getvalue())

    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write(normalization_rules())
        rules.flush()
        train("siglip", vocab_size=500, normalization_rule_tsv=rules.name, character_coverage=0.995)
    train("unigram-bytes", vocab_size=700, normalization_rule_name="identity", byte_fallback=True,
          character_coverage=0.98, remove_extra_whitespaces=False)
    train("unigram-symbols", vocab_size=500, normalization_rule_name="identity",
          user_defined_symbols=["<sep>", "a photo", "é", "日本"], treat_whitespace_as_suffix=True)


def train(captions):
    lines = read_captions(captions)[:N_CAPTIONS]
    lines += [t for t in HAND_MADE if 0 < len(t) < 300 and "\0" not in t]
    train_clip(lines)
    train_bert(lines)
    train_sentencepiece(lines)


def encoders():
    """Name of the folder -> function of a text."""
    def ours(tokenizer, n):
        return lambda text: tokenizer(text, truncation=True, max_length=n)["input_ids"]

    def pieces(name):
        model = sentencepiece.SentencePieceProcessor(model_file=os.path.join(OUT, name, "spiece.model"))
        return lambda text: model.encode(text, out_type=int)

    def path(name):
        return os.path.join(OUT, name)

    clip = CLIPTokenizerFast(os.path.join(path("clip"), "vocab.json"), os.path.join(path("clip"), "merges.txt"))
    return {
        "clip": ours(clip, CLIP_MAX),
        "clip-json": ours(CLIPTokenizerFast.from_pretrained(path("clip-json")), CLIP_MAX),
        "bert": ours(BertTokenizerFast(os.path.join(path("bert"), "vocab.txt")), BERT_MAX),
        "bert-cased": ours(BertTokenizerFast.from_pretrained(path("bert-cased")), BERT_MAX),
        "siglip": ours(SiglipTokenizer(os.path.join(path("siglip"), "spiece.model")), SIGLIP_MAX),
        "unigram": pieces("siglip"),
        "unigram-bytes": pieces("unigram-bytes"),
        "unigram-symbols": pieces("unigram-symbols"),
    }


def write_cases():
    texts = cases() + ["a <Sks Dog> in <sks dog>s", "<SKS  DOG>", "x  <|endoftext|>  y", "the a photo<sep>日本 é"]
    table = encoders()
    write_json(os.path.join(OUT, "cases.json"), {
        "max": {"clip": CLIP_MAX, "clip-json": CLIP_MAX, "bert": BERT_MAX, "bert-cased": BERT_MAX,
                "siglip": SIGLIP_MAX},
        "texts": texts,
        "ids": {name: [encode(text) if len(text) <= 600 or name in ("clip", "bert", "siglip") else None
                       for text in texts] for name, encode in table.items()}})


MODEL_TEXTS = ["", "A photo of a cat.", "two dogs playing in the snow", "a", "don't panic: 42!", "你好 café 😀",
               "</s> [SEP] <|endoftext|> <|startoftext|> x", "a man riding a wave on top of a surfboard " * 12,
               "İstanbul ΣΑΣ", "  \t"]


def write_models():
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import (BertConfig, BertModel, CLIPConfig, CLIPModel, CLIPTextConfig,
                              CLIPTextModelWithProjection, SiglipConfig, SiglipModel)

    def randomise(model, seed):
        # larger than transformers' own start, so that every part of the model shows in the output;
        # rounded to what half precision keeps
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in model.named_parameters():
                values = torch.randn(p.shape, generator=generator) * (0.35 if p.dim() > 1 else 0.2)
                if "norm" in name.lower() and name.endswith("weight"):
                    values += 1
                p.copy_(values.half().float() if p.dim() else p)
        return model.eval()

    def save(model, name, **options):
        path = os.path.join(OUT, name)
        for old in os.listdir(path):
            if old.startswith("model") or old == "config.json":
                os.remove(os.path.join(path, old))
        model.half().save_pretrained(path, **options)
        for written in os.listdir(path):
            os.chmod(os.path.join(path, written), 0o755 if os.path.isdir(os.path.join(path, written)) else 0o644)
        model.float()

    text = dict(hidden_size=16, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2)
    vision = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=8,
                  patch_size=8)
    result = {"texts": MODEL_TEXTS, "models": {}}

    def embed(name, tokenizer, model, n, function):
        kwargs = dict(padding="max_length", truncation=True, max_length=n, return_tensors="pt")
        with torch.no_grad():
            out = function(model, tokenizer(MODEL_TEXTS, **kwargs))
        ids = tokenizer(MODEL_TEXTS, **kwargs)["input_ids"]
        result["models"][name] = {"ids": ids.tolist(), "embeddings": [[float(f"{x:.8g}") for x in row] for row in out.tolist()]}

    clip_path, json_path = os.path.join(OUT, "clip"), os.path.join(OUT, "clip-json")
    clip = CLIPTokenizerFast(os.path.join(clip_path, "vocab.json"), os.path.join(clip_path, "merges.txt"))
    # the way of old checkpoints: an eos_token_id of 2 that nobody looks at
    model = randomise(CLIPModel(CLIPConfig(
        text_config=dict(text, vocab_size=len(clip), hidden_act="quick_gelu", eos_token_id=2, max_position_embeddings=77),
        vision_config=vision, projection_dim=12)), 1)
    save(model, "clip")
    embed("clip", clip, model, 77, lambda m, t: m.get_text_features(**t))

    clip = CLIPTokenizerFast.from_pretrained(json_path)
    model = randomise(CLIPTextModelWithProjection(CLIPTextConfig(
        **text, vocab_size=len(clip), hidden_act="gelu", eos_token_id=clip.eos_token_id, projection_dim=20,
        max_position_embeddings=40)), 2)
    save(model, "clip-json", max_shard_size="24KB")
    embed("clip-json", clip, model, 40, lambda m, t: m(**t).text_embeds)

    siglip = SiglipTokenizer(os.path.join(OUT, "siglip", "spiece.model"))
    model = randomise(SiglipModel(SiglipConfig(
        text_config=dict(text, vocab_size=len(siglip), max_position_embeddings=64),
        vision_config=vision)), 3)
    save(model, "siglip")
    embed("siglip", siglip, model, 64, lambda m, t: m.get_text_features(input_ids=t["input_ids"]))

    def pooling(name, mode, normalise, max_length):
        modes = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"]
        write_json(os.path.join(folder(name + "/1_Pooling"), "config.json"), dict(
            {"word_embedding_dimension": 16}, **{f"pooling_mode_{m}": m == mode for m in modes}))
        kinds = ["Transformer", "Pooling"] + (["Normalize"] if normalise else [])
        write_json(os.path.join(OUT, name, "modules.json"), [
            dict(idx=i, name=str(i), path=f"{i}_{kind}" if i else "", type=f"sentence_transformers.models.{kind}")
            for i, kind in enumerate(kinds)])
        write_json(os.path.join(OUT, name, "sentence_bert_config.json"), dict(
            max_seq_length=max_length, do_lower_case=False))

    def mean(m, t):
        mask = t["attention_mask"].unsqueeze(-1).float()
        pooled = (m(**t).last_hidden_state * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(pooled, p=2, dim=1)

    bert = BertTokenizerFast(os.path.join(OUT, "bert", "vocab.txt"))
    model = randomise(BertModel(BertConfig(**text, vocab_size=len(bert), max_position_embeddings=64)), 4)
    save(model, "bert")
    pooling("bert", "mean_tokens", True, BERT_MAX)
    embed("bert", bert, model, BERT_MAX, mean)

    # a long one, as an old checkpoint with a head would name it; more tokens than attention takes at once
    bert = BertTokenizerFast.from_pretrained(os.path.join(OUT, "bert-cased"))
    model = randomise(BertModel(BertConfig(**text, vocab_size=len(bert), max_position_embeddings=160,
                                           hidden_act="gelu_new")), 5)
    save(model, "bert-cased")
    weights = os.path.join(OUT, "bert-cased", "model.safetensors")
    save_file({"bert." + k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
               for k, v in load_file(weights).items()}, weights)
    pooling("bert-cased", "cls_token", False, 150)
    embed("bert-cased", bert, model, 150, lambda m, t: m(**t).last_hidden_state[:, 0])
    write_json(os.path.join(OUT, "models.json"), result)


def write_real_clip(shared, path):
    """vocab.json and merges.txt from OpenAI's list of merges, as their code defines them."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    with gzip.open(os.path.join(shared, "vocab", "bpe_simple_vocab_16e6.txt.gz")) as f:
        merges = f.read().decode().split("\n")[1:49152 - 256 - 2 + 1]
    tokens = characters + [c + "</w>" for c in characters] + ["".join(m.split()) for m in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    write_json(os.path.join(path, "vocab.json"), {t: i for i, t in enumerate(tokens)})
    with open(os.path.join(path, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(merges) + "\n")
    return os.path.join(path, "vocab.json"), os.path.join(path, "merges.txt")


def write_real(shared):
    files = ["coco_captions_mini/captions_text_only.tsv", "flickr8k_1k/captions_other_images.tsv"]
    with tempfile.TemporaryDirectory() as path:
        clip_files = write_real_clip(shared, path)
        bert_file = os.path.join(shared, "vocab", "bert-base-uncased-vocab.txt")
        fast = {"clip": (CLIPTokenizerFast(*clip_files), 77), "bert": (BertTokenizerFast(bert_file), 512)}
        slow = {"clip": CLIPTokenizer(*clip_files), "bert": BertTokenizer(bert_file)}
    result = []
    for name in files:
        lines = read_captions(os.path.join(shared, name))
        for kind, (tokenizer, n) in fast.items():
            digest, count = hashlib.sha256(), 0
            for line, ids in zip(lines, tokenizer(lines, truncation=True, max_length=n)["input_ids"]):
                if slow[kind](line, truncation=True, max_length=n)["input_ids"] != ids:
                    print(f"{kind}: slow and fast differ on {line!r}")
                digest.update(struct.pack(f"<{len(ids) + 1}I", len(ids), *ids))
                count += len(ids)
            result.append(dict(file=name, tokenizer=kind, max=n, lines=len(lines), ids=count,
                               sha256=digest.hexdigest()))
            print(result[-1])
    write_json(os.path.join(OUT, "real.json"), result)


def main():
    if sys.argv[1:2] == ["tokenizers"] and len(sys.argv) == 3:
        train(sys.argv[2])
        write_cases()
    elif sys.argv[1:] == ["models"]:
        write_models()
    elif sys.argv[1:2] == ["real"] and len(sys.argv) == 3:
        write_real(sys.argv[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
