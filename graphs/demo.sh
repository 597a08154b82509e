#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# graphs/demo.sh BUILD: learns from the bundled clip and shows what comes out, live.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
build=$1
endpoint=tcp://127.0.0.1:5570
work=$(mktemp -d)
mkfifo "$work/results"
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

echo "Making two teachers: seeded random transformers, they know nothing of the world."
"$build/tests/tools/seed-make-random-model" --size mini --image-size 64 --seed 1 --out "$work/teacher-a"
"$build/tests/tools/seed-make-random-model" --size mini --image-size 64 --seed 2 --out "$work/teacher-b"

echo "Running graphs/demo.yaml; results are published on $endpoint (try: seedctl tail demo/)."
"$build/daemon/seed-run" graphs/demo.yaml --quiet --seed 1 --stats "$work/stats.json" \
  --set models="$work" --set endpoint="$endpoint" --set wait-subscribers=1 &
run=$!
"$build/daemon/seedctl" tail --connect "$endpoint" demo/ >"$work/results" &
tail=$!
python3 graphs/demo-show.py <"$work/results" &
show=$!
wait "$run"
kill -INT "$tail" # the run is over and has sent all it had
wait "$tail" "$show"
python3 graphs/demo-show.py --ledger "$work/stats.json"
