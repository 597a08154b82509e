#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes .venv in the source tree: PyTorch from Debian (apt-get install python3-torch) and the last
# line of Hugging Face transformers that runs on it. Only generators of checked-in fixtures need it;
# building and testing do not.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! /usr/bin/python3 -c 'import torch' 2> /dev/null; then
  echo "python3-torch is missing; install it with: apt-get install python3-torch" >&2
  exit 1
fi
[ -x .venv/bin/python ] || /usr/bin/python3 -m venv --system-site-packages .venv
.venv/bin/pip install --quiet 'transformers==4.44.2'
.venv/bin/python -c 'import torch, transformers; print ("torch", torch.__version__, "transformers", transformers.__version__)'
