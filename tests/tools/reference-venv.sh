#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes .venv in the source tree: PyTorch and torchvision from Debian (apt-get install python3-torch
# python3-torchvision), the last line of Hugging Face transformers that runs on it, and timm. Only
# generators of checked-in fixtures need it; building and testing do not.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! /usr/bin/python3 -c 'import torch, torchvision' 2> /dev/null; then
  echo "python3-torch or python3-torchvision is missing; install them with apt-get" >&2
  exit 1
fi
[ -x .venv/bin/python ] || /usr/bin/python3 -m venv --system-site-packages .venv
.venv/bin/pip install --quiet 'transformers==4.48.3' 'numpy<2' pillow
.venv/bin/pip install --quiet --no-deps 'timm==0.9.16'
.venv/bin/python -c 'import timm, torch, transformers
print ("torch", torch.__version__, "transformers", transformers.__version__, "timm", timm.__version__)'
