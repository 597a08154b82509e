#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the first inputs of the fuzz targets safetensors, hf-config and hf-index into corpus/.

Inputs that a fuzzer found are added to the folders as files of their own.
"""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def safetensors(header, data, length=None):
    if not isinstance(header, bytes):
        header = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


ALL = {
    "__metadata__": {"format": "pt", "\u00e9": "\U0001f600\n"},
    "double": tensor("F64", [1], 0, 8),
    "float": tensor("F32", [1, 1], 8, 12),
    "half": tensor("F16", [2], 12, 16),
    "brain": tensor("BF16", [2], 16, 20),
    "byte": tensor("U8", [], 20, 21),
    "none": tensor("I64", [0, 7], 21, 21),
}
ALL_DATA = (struct.pack("<d", 1.5) + struct.pack("<f", -2) + struct.pack("<2e", 1, 6e-8)
            + b"\x80\x3f\xc0\x7f" + b"\x07")

write("safetensors", "valid", safetensors(ALL, ALL_DATA))
write("safetensors", "empty", safetensors({}, b""))
write("safetensors", "truncated-data", safetensors(ALL, ALL_DATA[:-3]))
write("safetensors", "truncated-header", safetensors(ALL, ALL_DATA)[:60])
write("safetensors", "truncated-length", b"\x10\0\0\0")
write("safetensors", "lying-length", safetensors(ALL, ALL_DATA, 2**64 - 1))
write("safetensors", "lying-shape", safetensors({"a": tensor("F32", [2**32, 2**32], 0, 4)}, b"\0" * 4))
write("safetensors", "lying-offsets", safetensors({"a": tensor("U8", [9], 0, 9)}, b"\0"))
write("safetensors", "overlap", safetensors(
    {"a": tensor("U8", [3], 0, 3), "b": tensor("U8", [2], 1, 3)}, b"\0" * 3))
write("safetensors", "hole", safetensors({"a": tensor("U8", [1], 1, 2)}, b"\0" * 2))
write("safetensors", "unaligned", safetensors(
    {"a": tensor("U8", [1], 0, 1), "b": tensor("F32", [1], 1, 5)}, b"\1" * 5))
write("safetensors", "deep", safetensors(b'{"a":' + b"[" * 200, b""))
write("safetensors", "doubled", safetensors(
    b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{}}', b"\0"))

CONFIG = {"model_type": "vit", "image_size": 32, "patch_size": [16, 16], "hidden_size": 32,
          "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
          "hidden_act": "gelu", "layer_norm_eps": 1e-12, "qkv_bias": True,
          "id2label": {"0": "cat"}, "pooler_act": None}
PREPROCESSOR = {"do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1],
                "resample": 3, "rescale_factor": 1 / 255, "size": {"shortest_edge": 256},
                "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}

write("hf-config", "config", json.dumps(CONFIG, indent=2).encode())
write("hf-config", "config-truncated", json.dumps(CONFIG).encode()[:-20])
write("hf-config", "config-huge", json.dumps({**CONFIG, "hidden_size": 10**30}).encode())
write("hf-config", "config-family", json.dumps({**CONFIG, "model_type": "\0"}).encode())
write("hf-config", "preprocessor", json.dumps(PREPROCESSOR).encode())
write("hf-config", "preprocessor-mean", json.dumps({**PREPROCESSOR, "image_mean": [1e300]}).encode())
write("hf-config", "preprocessor-size", json.dumps({**PREPROCESSOR, "crop_size": [1, 2, 3]}).encode())
write("hf-config", "preprocessor-clip", json.dumps(
    {**PREPROCESSOR, "image_processor_type": "CLIPImageProcessor", "size": 224}).encode())

VISION = {"hidden_size": 32, "image_size": 30, "intermediate_size": 64, "num_attention_heads": 2,
          "num_hidden_layers": 2, "patch_size": 8}
DINO = {**CONFIG, "model_type": "dinov2_with_registers", "mlp_ratio": 2.5, "use_swiglu_ffn": True,
        "num_register_tokens": 4}
TIMM = {"architecture": "vit_small_patch16_clip_quickgelu_224.openai", "num_classes": 0,
        "global_pool": "avg", "model_args": {"img_size": 32, "num_heads": 2, "act_layer": "gelu"},
        "pretrained_cfg": {"input_size": [3, 32, 32], "crop_pct": 0.9, "mean": [0.5, 0.5, 0.5],
                           "std": [0.5, 0.5, 0.5], "interpolation": "bicubic"}}

write("hf-config", "clip", json.dumps(
    {"model_type": "clip", "projection_dim": 8, "text_config": {}, "vision_config": VISION}).encode())
write("hf-config", "siglip", json.dumps(
    {"model_type": "siglip", "vision_config": {**VISION, "vision_use_head": True}}).encode())
write("hf-config", "siglip-empty", json.dumps({"model_type": "siglip", "vision_config": None}).encode())
write("hf-config", "dinov2", json.dumps(DINO).encode())
write("hf-config", "dinov2-ratio", json.dumps({**DINO, "mlp_ratio": 1e308}).encode())
write("hf-config", "dinov2-registers", json.dumps({**DINO, "num_register_tokens": 2**31 - 1}).encode())
write("hf-config", "timm", json.dumps(TIMM).encode())
write("hf-config", "timm-name", json.dumps({**TIMM, "architecture": "_" * 63}).encode())
write("hf-config", "timm-crop", json.dumps(
    {**TIMM, "pretrained_cfg": {"input_size": [3, 2**31 - 1, 2**31 - 1], "crop_pct": 0.011}}).encode())

INDEX = {"metadata": {"total_size": 8}, "weight_map": {"a": "model-1.safetensors", "b": "model-2"}}

write("hf-index", "valid", json.dumps(INDEX).encode())
write("hf-index", "outside", json.dumps({"weight_map": {"a": "../model"}}).encode())
write("hf-index", "empty", b'{"weight_map": {}}')
write("hf-index", "doubled", b'{"weight_map": {"a": "x", "\\u0061": "y"}}')
write("hf-index", "maps", b'{"weight_map": {"a": "x"}, "weight_map": {"b": "y"}}')
write("hf-index", "truncated", json.dumps(INDEX).encode()[:-5])
