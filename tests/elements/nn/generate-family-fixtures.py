#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/models/<family>-tiny*/: tiny models of every family with random weights, saved by
transformers and timm themselves, and what those compute with them. Run it with the interpreter that
tests/tools/reference-venv.sh makes; the same versions give the same files.

Beside the model a folder has expected.safetensors with, for the model's own image size and, behind a
dot, for other sizes:
  words[.S]    uint8 [n, N, 3PP]
  summary[.S]  float32 [n, D], tokens[.S] float32 [n, N, d]: computed in float64 from the weights as
               they were saved (rounded where they are saved in half precision)
and for images of some sizes, noise as in tests/elements/patchify/test-frames.h:
  image.WxH    uint8 [S, S, 3]: what the family's own preprocessing gives, before its normalisation
"""
import json
import pathlib
import shutil

import numpy as np
import timm
import torch
import transformers as tf
from PIL import Image
from safetensors.numpy import save_file
from timm.data import create_transform, resolve_data_config
from timm.models._hub import save_for_hf
from timm.models.vision_transformer import checkpoint_filter_fn

MODELS = pathlib.Path(__file__).resolve().parents[2] / "data" / "models"
IMAGES = 2
PICTURES = [(41, 29), (23, 50), (16, 16)]

SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 16,
         "patch_size": 4}
TOWER = {**SMALL, "intermediate_size": 40}
TEXT = {"vocab_size": 40, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 8, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2,
        "pad_token_id": 0}
DINO = {**SMALL, "image_size": 28, "mlp_ratio": 2}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def words_of(outputs, prefix):
    return outputs.last_hidden_state[:, prefix:]


def first_and_words(prefix):
    return lambda model, x: (model(x).last_hidden_state[:, 0], words_of(model(x), prefix))


def resized(prefix):
    """The same for a model that resamples its positions only when asked."""
    def run(model, x):
        rows = model(x, interpolate_pos_encoding=True).last_hidden_state
        return rows[:, 0], rows[:, prefix:]
    return run


def tower(kind):
    """A tower's pooled output or projected embedding, and its last hidden state."""
    def run(model, x):
        prefix = 0 if kind == "siglip" else 1
        vision = model.vision_model
        outputs = vision(x, interpolate_pos_encoding=True)
        pooled = outputs.pooler_output
        if hasattr(model, "visual_projection"):
            pooled = model.visual_projection(pooled)
        return pooled, words_of(outputs, prefix)
    return run


def clip(**options):
    vision = {**TOWER, **options}
    return tf.CLIPModel(tf.CLIPConfig(text_config=TEXT, vision_config=vision, projection_dim=20))


def siglip(**options):
    return tf.SiglipModel(tf.SiglipConfig(text_config=TEXT, vision_config={**TOWER, **options}))


DEIT = {"size": {"height": 20, "width": 20}, "crop_size": {"height": 16, "width": 16}, **IMAGENET}
BIT = {"size": {"shortest_edge": 19}, "crop_size": {"height": 16, "width": 16}, **IMAGENET}
CLIP = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}

# name: (model, what runs it, what it runs on, image processor, options of saving, other image sizes)
TRANSFORMERS = {
    "dino-tiny": (lambda: tf.ViTModel(tf.ViTConfig(**TOWER), add_pooling_layer=False),
        resized(1), None, tf.ViTImageProcessor(size={"height": 16, "width": 16}), {}, [24, 12]),
    "deit-tiny-distilled": (
        lambda: tf.DeiTForImageClassificationWithTeacher(tf.DeiTConfig(**TOWER, num_labels=3)),
        resized(2), "deit", tf.DeiTImageProcessor(**DEIT), {}, [20]),
    "dinov2-tiny": (lambda: tf.Dinov2Model(tf.Dinov2Config(**DINO)),
        first_and_words(1), None, tf.BitImageProcessor(**BIT), {}, [28, 40]),
    "dinov2-tiny-swiglu-sharded": (
        lambda: tf.Dinov2ForImageClassification(tf.Dinov2Config(**DINO, use_swiglu_ffn=True)),
        first_and_words(1), "dinov2", tf.BitImageProcessor(**BIT), {"max_shard_size": "20KB"}, [28]),
    "dinov2-tiny-bfloat16": (lambda: tf.Dinov2Model(tf.Dinov2Config(**DINO, qkv_bias=False)),
        first_and_words(1), None, None, {"dtype": torch.bfloat16}, []),
    "dinov2-tiny-registers": (
        lambda: tf.Dinov2WithRegistersModel(tf.Dinov2WithRegistersConfig(**DINO,
            num_register_tokens=3)),
        first_and_words(4), None, tf.BitImageProcessor(**BIT), {}, [28, 40]),
    "clip-tiny": (clip, tower("clip"), None, tf.CLIPImageProcessor(**CLIP), {}, [24]),
    "clip-tiny-vision-bfloat16": (lambda: tf.CLIPVisionModel(tf.CLIPVisionConfig(**TOWER)),
        tower("clip"), None, None, {"dtype": torch.bfloat16}, []),
    "clip-tiny-projection-float16": (
        lambda: tf.CLIPVisionModelWithProjection(tf.CLIPVisionConfig(**TOWER, projection_dim=12)),
        tower("clip"), None, None, {"dtype": torch.float16}, []),
    "siglip-tiny": (lambda: siglip(image_size=18), tower("siglip"), None,
        tf.SiglipImageProcessor(size={"height": 18, "width": 18}), {}, [24]),
    "siglip-tiny-vision": (lambda: tf.SiglipVisionModel(tf.SiglipVisionConfig(**TOWER)),
        tower("siglip"), None, tf.SiglipImageProcessor(size={"height": 16, "width": 16}), {}, []),
}

ARGS = {"img_size": 16, "patch_size": 4, "embed_dim": 24, "depth": 2, "num_heads": 3, "mlp_ratio": 2}

# name: (architecture, arguments beyond ARGS, pretrained_cfg, other image sizes)
TIMM = {
    "timm-tiny": ("vit_small_patch16_224", {}, {"crop_pct": 0.9}, [24, 12]),
    "timm-tiny-deit3": ("deit3_small_patch16_224", {}, {"crop_pct": 1.0}, [20]),
    "timm-tiny-dinov2-reg4": ("vit_small_patch14_reg4_dinov2", {}, {"crop_pct": 1.0}, [28]),
    "timm-tiny-dinov2-swiglu": ("vit_giant_patch14_dinov2", {"mlp_ratio": 3}, {"crop_pct": 1.0}, []),
    "timm-tiny-clip": ("vit_base_patch32_clip_quickgelu_224", {}, {"crop_pct": 1.0}, []),
    "timm-tiny-siglip": ("vit_base_patch16_siglip_224", {},
        {"crop_pct": 0.9, "crop_mode": "squash"}, [20]),
    "timm-tiny-gap-reg4": ("vit_medium_patch16_reg4_gap_256", {}, {"interpolation": "bilinear"}, []),
}


def randomise(model, generator):
    """Weights large enough that every part of the model matters in the result."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() < 2:
            parameter.data = 1 + 0.2 * noise if name.endswith("weight") else 0.3 * noise
        elif parameter.dim() == 3 or "position" in name:
            parameter.data = 0.5 * noise
        else:
            parameter.data = noise / parameter[0].numel() ** 0.5
        if "gamma" in name or "lambda" in name:
            parameter.data = 0.6 + 0.3 * noise


def pattern(size):
    """The noise of tests/elements/patchify/generate-resample-fixtures.py."""
    out, state = bytearray(size), 12345
    for i in range(size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state >> 24
    return bytes(out)


def pixels_of(words, given, side, patch, mean, std, rng):
    """Words as the upper left square of images of given pixels; what is beyond it does not count."""
    n, grid = words.shape[0], side // patch
    images = rng.integers(0, 256, (n, 3, given, given)).astype(np.float64)
    square = words.reshape(n, grid, grid, 3, patch, patch).transpose(0, 3, 1, 4, 2, 5)
    images[:, :, :side, :side] = square.reshape(n, 3, side, side)
    mean, std = (np.array(x).reshape(3, 1, 1) for x in (mean, std))
    return torch.from_numpy((images / 255 - mean) / std)


def expect(tensors, suffix, run, given, patch, mean, std, rng):
    side = given // patch * patch
    words = rng.integers(0, 256, (IMAGES, (side // patch) ** 2, 3 * patch * patch), dtype=np.uint8)
    with torch.no_grad():
        summary, tokens = run(pixels_of(words, given, side, patch, mean, std, rng))
    tensors["words" + suffix] = words
    tensors["summary" + suffix] = summary.numpy().astype("<f4").copy()
    tensors["tokens" + suffix] = tokens.numpy().astype("<f4").copy()


def expect_pictures(tensors, process, mean, std):
    for width, height in PICTURES:
        image = Image.frombytes("RGB", (width, height), pattern(3 * width * height))
        values = process(image)
        values = (values * np.array(std).reshape(3, 1, 1) + np.array(mean).reshape(3, 1, 1)) * 255
        tensors[f"image.{width}x{height}"] = np.ascontiguousarray(
            np.rint(values).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def fresh_folder(name):
    folder = MODELS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def finish(folder, tensors):
    save_file(tensors, folder / "expected.safetensors")
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)


def write_transformers(name, number):
    make, run, part, processor, options, sizes = TRANSFORMERS[name]
    folder, rng = fresh_folder(name), np.random.default_rng(number)
    model = make()
    randomise(model, torch.Generator().manual_seed(number))
    model = model.to(options.get("dtype", torch.float32)).eval()
    model.save_pretrained(folder, max_shard_size=options.get("max_shard_size", "5GB"))
    model = model.double()
    runner = getattr(model, part) if part else model

    vision = getattr(model.config, "vision_config", model.config)
    given, mean, std = vision.image_size, [0.5] * 3, [0.5] * 3
    tensors = {}
    if processor:
        processor.save_pretrained(folder)
        mean, std = processor.image_mean, processor.image_std
        expect_pictures(tensors, lambda image: processor(image, return_tensors="np").pixel_values[0],
                        mean, std)
        if "Bit" in type(processor).__name__:
            given = 16
    elif "dinov2" in name:
        mean, std = IMAGENET["image_mean"], IMAGENET["image_std"]
    else:
        mean, std = tf.image_utils.OPENAI_CLIP_MEAN, tf.image_utils.OPENAI_CLIP_STD
    for size in [given] + sizes:
        suffix = "" if size == given else f".{size}"
        expect(tensors, suffix, lambda x: run(runner, x), size, vision.patch_size, mean, std, rng)
    finish(folder, tensors)


def timm_runner(model):
    def run(x):
        rows = model.forward_features(x)
        return model.forward_head(rows, pre_logits=True), rows[:, model.num_prefix_tokens:]
    return run


def write_timm(name, number):
    architecture, more, pretrained, sizes = TIMM[name]
    folder, rng = fresh_folder(name), np.random.default_rng(number)
    args = {**ARGS, **more}
    model = timm.create_model(architecture, num_classes=3, **args)
    randomise(model, torch.Generator().manual_seed(number))
    model.pretrained_cfg.update({"input_size": (3, 16, 16), **pretrained})
    save_for_hf(model, folder, model_args=args, safe_serialization=True)

    config = json.loads((folder / "config.json").read_text())["pretrained_cfg"]
    tensors = {}
    transform = create_transform(**resolve_data_config({}, model=model))
    expect_pictures(tensors, lambda image: transform(image).numpy(), config["mean"], config["std"])
    for size in [16] + sizes:
        other = timm.create_model(architecture, num_classes=3, **{**args, "img_size": size})
        other.load_state_dict(checkpoint_filter_fn(dict(model.state_dict()), other))
        expect(tensors, "" if size == 16 else f".{size}", timm_runner(other.double().eval()), size, 4,
               config["mean"], config["std"], rng)
    finish(folder, tensors)
    for path in folder.glob("*.bin"):
        path.unlink()


for number, name in enumerate(TRANSFORMERS):
    write_transformers(name, 100 + number)
for number, name in enumerate(TIMM):
    write_timm(name, 200 + number)
