#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/models/<name>/: tiny vision transformers with random weights, as Hugging Face
transformers saves them, and what transformers computes with them. Run it with the interpreter that
tests/tools/reference-venv.sh makes; the same versions give the same files.

Beside the model (config.json, preprocessor_config.json, model.safetensors):
  expected.safetensors  words uint8 [n, N, 3PP]; summary [n, d] and tokens [n, N, d] float32, after the
                        final norm
and the same for a reader that knows no safetensors, raw and little-endian:
  shape.txt             one "key value" a line
  words.bin             uint8 [n, N, 3PP]
  hidden.bin            float32 [n, 1 + N, d], row 0 the CLS token
  flat.bin              float32, every parameter in the order of elements/nn/vit.h, without gaps
"""
import json
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import ViTConfig, ViTForImageClassification, ViTModel

MODELS = pathlib.Path(__file__).resolve().parents[2] / "data" / "models"
ACTIVATIONS = {"gelu": 0, "gelu_new": 1, "quick_gelu": 2, "silu": 3, "relu": 4}

# name: (class, images, preprocessor, configuration)
FIXTURES = {
    "vit-tiny-plain": (ViTModel, 3,
        {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2},
        {"image_size": 32, "patch_size": 8, "hidden_size": 36, "num_hidden_layers": 2,
         "num_attention_heads": 3, "intermediate_size": 72, "hidden_act": "gelu"}),
    "vit-tiny-classifier": (ViTForImageClassification, 2,
        {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3},
        {"image_size": 32, "patch_size": 16, "hidden_size": 24, "num_hidden_layers": 3,
         "num_attention_heads": 4, "intermediate_size": 50, "hidden_act": "gelu",
         "layer_norm_eps": 1e-6, "num_labels": 5}),
    "vit-tiny-gelu-new": (ViTModel, 2,
        {"image_mean": [0.1, 0.5, 0.9], "image_std": [0.2, 0.5, 1.0], "resample": 2},
        {"image_size": 24, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 2,
         "num_attention_heads": 4, "intermediate_size": 64, "hidden_act": "gelu_new",
         "layer_norm_eps": 1e-3}),
}


def randomise(model, generator):
    """Weights large enough that every part of the model matters in the result."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if "layernorm" in name and name.endswith("weight"):
            parameter.data = 1 + 0.2 * noise
        elif name.endswith("bias") or "embeddings." in name and parameter.dim() == 3:
            parameter.data = 0.3 * noise
        else:
            parameter.data = noise / parameter[0].numel() ** 0.5


def words_to_pixels(words, size, patch, preprocessor):
    n, side = words.shape[0], size // patch
    images = words.reshape(n, side, side, 3, patch, patch).transpose(0, 3, 1, 4, 2, 5)
    images = images.reshape(n, 3, size, size).astype(np.float64) / 255
    mean = np.array(preprocessor["image_mean"]).reshape(3, 1, 1)
    std = np.array(preprocessor["image_std"]).reshape(3, 1, 1)
    return torch.from_numpy((images - mean) / std)


def flatten(vit, depth):
    state = {key: value.numpy() for key, value in vit.state_dict().items()}
    embeddings = "embeddings.patch_embeddings.projection."
    parts = [state["embeddings.cls_token"], state["embeddings.position_embeddings"],
             state[embeddings + "weight"], state[embeddings + "bias"]]
    for i in range(depth):
        layer = f"encoder.layer.{i}."
        for kind in ("weight", "bias"):
            parts.append(state[layer + "layernorm_before." + kind])
        for kind in ("weight", "bias"):
            parts.append(np.concatenate(
                [state[f"{layer}attention.attention.{x}.{kind}"] for x in ("query", "key", "value")]))
        for name in ("attention.output.dense", "layernorm_after", "intermediate.dense",
                     "output.dense"):
            for kind in ("weight", "bias"):
                parts.append(state[f"{layer}{name}.{kind}"])
    parts += [state["layernorm.weight"], state["layernorm.bias"]]
    return np.concatenate([part.astype("<f4").ravel() for part in parts])


def write(name, number):
    kind, n, preprocessor, options = FIXTURES[name]
    config = ViTConfig(**options)
    model = kind(config, add_pooling_layer=False) if kind is ViTModel else kind(config)
    randomise(model, torch.Generator().manual_seed(number))
    model.eval()
    folder = MODELS / name
    model.save_pretrained(folder, safe_serialization=True)

    size, patch = config.image_size, config.patch_size
    preprocessor = {"do_normalize": True, "do_rescale": True, "do_resize": True,
                    "image_processor_type": "ViTImageProcessor", "rescale_factor": 1 / 255,
                    "size": {"height": size, "width": size}, **preprocessor}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")

    n_words = (size // patch) ** 2
    words = np.random.default_rng(number).integers(
        0, 256, (n, n_words, 3 * patch * patch), dtype=np.uint8)
    vit = model if kind is ViTModel else model.vit
    flat = flatten(vit, config.num_hidden_layers)
    with torch.no_grad():  # in double, so that the only rounding measured is that of the code tested
        pixels = words_to_pixels(words, size, patch, preprocessor)
        hidden = vit.double()(pixels).last_hidden_state.numpy().astype("<f4")
    save_file({"words": words, "summary": hidden[:, 0].copy(), "tokens": hidden[:, 1:].copy()},
              folder / "expected.safetensors")

    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)

    words.tofile(folder / "words.bin")
    hidden.tofile(folder / "hidden.bin")
    flat.tofile(folder / "flat.bin")
    shape = {"images": n, "image_size": size, "patch_size": patch, "dim": config.hidden_size,
             "depth": config.num_hidden_layers, "heads": config.num_attention_heads,
             "mlp_dim": config.intermediate_size, "ln_eps": config.layer_norm_eps,
             "activation": ACTIVATIONS[config.hidden_act], "parameters": flat.size}
    for key in ("mean", "std"):
        for channel, value in enumerate(preprocessor["image_" + key]):
            shape[f"{key}{channel}"] = value
    (folder / "shape.txt").write_text("".join(f"{k} {v}\n" for k, v in shape.items()))


for number, name in enumerate(FIXTURES):
    write(name, number)
