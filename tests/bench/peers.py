#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SEED beside OpenVINO, ONNX Runtime and PyTorch on the same machine, turn about.

  peers.py BUILD [--json FILE] [--rounds N] [--threads N] [--only TEXT]

Models have random weights: speed does not depend on them. Each engine is tried in several settings
and enters with its fastest one for the precision. Contenders take turns, so that a busy machine
disturbs all alike; times are medians over the rounds of the median of a turn. "x ours" is the
peer's time over that of SEED in the same precision, or in float32 where SEED has none of it; more
than 1 means that SEED is faster. Runs in the environment that peers-venv.sh makes.
"""
import argparse
import copy
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
if "--threads" in sys.argv[:-1]:
    THREADS = int(sys.argv[sys.argv.index("--threads") + 1])
os.environ["OMP_NUM_THREADS"] = str(THREADS)  # before an engine reads it

import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402
import openvino as ov  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402

# name, timm name, arguments of seed-make-random-model
MODELS = [
    ("ViT-S/16", "vit_small_patch16_224", ["--size", "small"]),
    ("ViT-B/16", "vit_base_patch16_224", ["--size", "base"]),
    ("DINOv2-S/14", "vit_small_patch14_dinov2", ["--size", "small", "--patch-size", "14"]),
]
BATCHES = (1, 8)
TURN_SECONDS = 0.4  # about, of one contender
QUICK = 3  # runs that choose among settings


class Contender:
    """Something that runs; `turn` gives the seconds of n runs."""

    def __init__(self, engine, precision, setting, run):
        self.engine, self.precision, self.setting, self.run = engine, precision, setting, run
        self.medians = []

    def turn(self, n):
        times = []
        for _ in range(n):
            start = time.perf_counter()
            self.run()
            times.append(time.perf_counter() - start)
        return times

    def close(self):
        self.run = None


class Ours(Contender):
    """bench-model in a process of its own, which waits while others run."""

    def __init__(self, build, arguments, threads, precision):
        self.process = subprocess.Popen(
            [os.path.join(build, "tests/bench/bench-model"), *arguments, str(threads), precision],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline().split()
        if not ready or ready[0] != "ready":
            raise RuntimeError("bench-model did not start")
        super().__init__("SEED", ready[2] if len(ready) > 2 else "f32", ready[1], None)

    def turn(self, n):
        self.process.stdin.write(f"{n}\n")
        self.process.stdin.flush()
        return [float(ns) * 1e-9 for ns in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours_in(precisions, build, arguments, notes):
    contenders = []
    for precision in precisions:
        try:
            contenders.append(Ours(build, arguments, THREADS, precision))
        except RuntimeError as error:  # a processor that does not multiply in it
            notes.append(f"SEED {precision}: {error}")
    return contenders


def fastest(candidates, notes):
    """The fastest of [(label, make)], where making or running one may fail."""
    best = None
    for label, make in candidates:
        try:
            contender = make()
            contender.turn(1)
            seconds = min(contender.turn(QUICK))
        except Exception as error:  # whatever an engine finds wrong is news, not our failure
            notes.append(f"{label}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
            continue
        if best is None or seconds < best[0]:
            best = (seconds, contender)
    return [best[1]] if best else []


def export(model, batch, folder):
    path = os.path.join(folder, f"b{batch}.onnx")
    torch.onnx.export(model, torch.randn(batch, 3, 224, 224), path, input_names=["x"],
                      output_names=["y"], opset_version=17, dynamo=False)
    return path


class Calibration:
    def __init__(self, batch):
        rng = np.random.default_rng(1)
        self.left = [{"x": rng.standard_normal((batch, 3, 224, 224), dtype=np.float32)}
                     for _ in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantise(path, batch):
    """Two int8 models: activations scaled by calibration, or as they come."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    static, dynamic = path + ".static", path + ".dynamic"
    quantize_dynamic(path, dynamic, weight_type=QuantType.QInt8)
    quantize_static(path, static, Calibration(batch), quant_format=QuantFormat.QDQ,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)
    return static, dynamic


def openvino_contenders(path, static, x, notes):
    core = ov.Core()

    def make(precision, model, hint, performance):
        def build():
            compiled = core.compile_model(model, "CPU", {
                "INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": THREADS,
                "PERFORMANCE_HINT": performance, "NUM_STREAMS": 1})
            request = compiled.create_infer_request()
            request.set_input_tensor(ov.Tensor(x))
            return Contender("OpenVINO", precision, f"{performance.lower()} {hint}", request.infer)
        return f"OpenVINO {precision} {hint} {performance}", build

    wanted = [("f32", path, ["f32"]), ("bf16", path, ["bf16"]), ("int8", static, ["f32", "bf16"])]
    return [c for precision, model, hints in wanted if model
            for c in fastest([make(precision, model, hint, performance) for hint in hints
                              for performance in ("LATENCY", "THROUGHPUT")], notes)]


def onnxruntime_contenders(path, static, dynamic, x, notes):
    def make(precision, model, label, spin):
        def build():
            options = ort.SessionOptions()
            options.intra_op_num_threads = THREADS
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
            options.add_session_config_entry("session.intra_op.allow_spinning", spin)
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            return Contender("ONNX Runtime", precision, f"{label} spinning={spin}",
                             lambda: session.run(None, {"x": x}))
        return f"ONNX Runtime {precision} {label}", build

    notes.append("ONNX Runtime has no bfloat16 kernels for matrix products on CPUs of this kind")
    wanted = [("f32", [(path, "float32")]), ("int8", [(static, "static"), (dynamic, "dynamic")])]
    return [c for precision, models in wanted
            for c in fastest([make(precision, model, label, spin) for model, label in models if model
                              for spin in ("0", "1")], notes)]


def torch_contenders(model, x, notes):
    def make(precision, label, module, data, autocast=False):
        def build():
            def run():
                with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, autocast):
                    module(data)
            return Contender("PyTorch", precision, label, run)
        return f"PyTorch {precision} {label}", build

    def compiled(precision, label, module, data):
        def build():
            return make(precision, label, torch.compile(module), data)[1]()
        return f"PyTorch {precision} {label}", build

    def quantised():
        module = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)
        return make("int8", "dynamic", module, x)[1]()

    half = copy.deepcopy(model).bfloat16()
    x = torch.from_numpy(x)
    wanted = [
        [make("f32", "eager", model, x), compiled("f32", "compile", model, x)],
        [make("bf16", "eager", half, x.bfloat16()), make("bf16", "autocast", model, x, True),
         compiled("bf16", "compile", half, x.bfloat16())],
        [("PyTorch int8 dynamic", quantised)],
    ]
    return [c for candidates in wanted for c in fastest(candidates, notes)]


def training_contenders(notes):
    def make(precision, label, fused):
        def build():
            model = timm.create_model("vit_tiny_patch16_224", num_classes=0)
            optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05,
                                          betas=(0.9, 0.95), fused=fused)
            x = torch.randn(32, 3, 224, 224)

            def run():
                optimiser.zero_grad(set_to_none=True)
                with torch.autocast("cpu", torch.bfloat16, precision == "bf16"):
                    out = model.forward_features(x)
                out.float().pow(2).mean().backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
            return Contender("PyTorch", precision, label, run)
        return f"PyTorch training {precision} {label}", build

    return [c for precision in ("f32", "bf16")
            for c in fastest([make(precision, "eager, foreach", None),
                              make(precision, "eager, fused", True)], notes)]


def take_turns(contenders, rounds):
    runs = {}
    for c in contenders:
        runs[c] = max(1, min(50, int(TURN_SECONDS / min(c.turn(2)))))
    for _ in range(rounds):
        for c in contenders:
            c.medians.append(statistics.median(c.turn(runs[c])))


def report(title, contenders, results):
    ours = {c.precision: statistics.median(c.medians) for c in contenders if c.engine == "SEED"}
    print(f"\n{title:<28} {'precision':<10} {'ms':>9} {'x ours':>8}  setting")
    for c in contenders:
        seconds = statistics.median(c.medians)
        against = c.precision if c.precision in ours else "f32" if "f32" in ours else next(iter(ours))
        ratio = seconds / ours[against]
        print(f"{c.engine:<28} {c.precision:<10} {seconds * 1e3:9.2f} {ratio:8.2f}  {c.setting}",
              flush=True)
        results.append({"case": title, "engine": c.engine, "precision": c.precision,
                        "setting": c.setting, "ms": seconds * 1e3, "ours": against,
                        "ratio_to_ours": ratio})


def inference_case(arguments, name, timm_name, ours, batch, folder, results, notes):
    model = timm.create_model(timm_name, num_classes=0, img_size=224).eval()
    x = np.random.default_rng(0).standard_normal((batch, 3, 224, 224), dtype=np.float32)
    seed_model = os.path.join(folder, "seed")
    subprocess.run([os.path.join(arguments.build, "tests/tools/seed-make-random-model"), *ours,
                    "--image-size", "224", "--seed", "1", "--out", seed_model], check=True,
                   stdout=subprocess.DEVNULL)
    path = export(model, batch, folder)
    static = dynamic = None
    try:
        static, dynamic = quantise(path, batch)
    except Exception as error:
        notes.append(f"{name}: no int8 model: {type(error).__name__}: {error}")
    contenders = ours_in(("float32", "bfloat16", "int8"), arguments.build,
                         ["run", seed_model, str(batch)], notes)
    contenders += openvino_contenders(path, static, x, notes)
    contenders += onnxruntime_contenders(path, static, dynamic, x, notes)
    contenders += torch_contenders(model, x, notes)
    take_turns(contenders, arguments.rounds)
    report(f"{name}, batch {batch}", contenders, results)
    for c in contenders:
        c.close()


def training_case(arguments, results, notes):
    contenders = ours_in(("float32", "bfloat16"), arguments.build, ["train", "tiny", "224", "32"],
                         notes)
    contenders += training_contenders(notes)
    take_turns(contenders, arguments.rounds)
    report("training step, ViT-Ti/16, batch 32", contenders, results)
    for c in contenders:
        c.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="the build folder")
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender (default 7)")
    parser.add_argument("--threads", type=int, default=THREADS, help="of every engine (default 2)")
    parser.add_argument("--only", default="", help="cases whose title contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    results, notes = [], []

    print(f"{THREADS} threads; torch {torch.__version__}, openvino {ov.__version__}, "
          f"onnxruntime {ort.__version__}")
    for name, timm_name, ours in MODELS:
        for batch in BATCHES:
            if arguments.only not in f"{name}, batch {batch}":
                continue
            with tempfile.TemporaryDirectory() as folder:
                inference_case(arguments, name, timm_name, ours, batch, folder, results, notes)
            torch.compiler.reset()
    if arguments.only in "training step, ViT-Ti/16, batch 32":
        training_case(arguments, results, notes)
    for note in sorted(set(notes)):
        print("note:", note)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"bench": "peers", "threads": THREADS, "rows": results,
                       "notes": sorted(set(notes))}, file, indent=1)


if __name__ == "__main__":
    main()
