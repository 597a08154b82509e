#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# graphs/demo.sh BUILD: learns from the bundled clip with the bundled models and shows what comes out, live.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
build=$1
endpoint=tcp://127.0.0.1:5570
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

echo "Running graphs/demo.yaml; results are published on $endpoint (try: seedctl tail demo/)."
"$build/daemon/seed-run" graphs/demo.yaml --quiet --seed 1 --stats "$work/stats.json" \
  --set endpoint="$endpoint" --set wait-subscribers=1 &
run=$!
/usr/bin/python3 graphs/demo-show.py "$endpoint" &
show=$!
wait "$run"
kill -INT "$show" # the run is over and has sent all it had
wait "$show"
/usr/bin/python3 graphs/demo-show.py --ledger "$work/stats.json"
