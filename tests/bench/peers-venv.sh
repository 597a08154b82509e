#!/bin/bash
# SPDX-License-Identifier: MIT
# peers-venv.sh FOLDER: a virtual environment with the engines that peers.py compares with, from
# PyPI. Nothing but that comparison needs it. Does nothing when FOLDER has them already.
set -euo pipefail
folder=${1:?usage: peers-venv.sh FOLDER}

if ! "$folder/bin/python" -c 'import onnx, onnxruntime, openvino, timm, torch' 2> /dev/null; then
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --upgrade pip
  # without CUDA where the index is reachable, as PyPI has it elsewhere
  "$folder/bin/pip" install --quiet --index-url https://download.pytorch.org/whl/cpu torch \
    2> /dev/null || "$folder/bin/pip" install --quiet torch
  "$folder/bin/pip" install --quiet numpy onnx onnxruntime openvino timm
fi
"$folder/bin/python" - << 'PY'
from importlib.metadata import version

print(*(f"{name} {version(name)}" for name in ("torch", "openvino", "onnxruntime", "onnx", "timm")))
PY
