#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh BUILD [--peers] [--json FILE]
#
# Every benchmark that BUILD has, one after the other. With --peers also the comparison with
# OpenVINO, ONNX Runtime and PyTorch, in a virtual environment that is made when it is not there
# (SEED_PEERS_VENV, default: BUILD/venv-peers). --json collects what the benchmarks wrote, as one
# object with a member for each.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

usage() {
  echo "usage: run.sh BUILD [--peers] [--json FILE]" >&2
  exit 2
}

build='' peers=false json=''
while [ $# -gt 0 ]; do
  case $1 in
  --peers) peers=true ;;
  --json)
    [ $# -ge 2 ] || usage
    json=$2
    shift
    ;;
  -*) usage ;;
  *)
    [ -z "$build" ] || usage
    build=$1
    ;;
  esac
  shift
done
[ -n "$build" ] || usage
[ -d "$build" ] || {
  echo "run.sh: $build: no such folder; build first" >&2
  exit 1
}
build=$(readlink -f "$build")
venv=${SEED_PEERS_VENV:-$build/venv-peers}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export GST_PLUGIN_PATH_1_0=$build/elements GST_REGISTRY_1_0=$results/registry.bin

# bench NAME COMMAND...: with a heading
bench() {
  local name=$1
  shift
  printf '\n== %s ==\n' "$name"
  "$@"
}

for name in nn student backend; do # text alone
  [ -x "$build/tests/bench/bench-$name" ] && bench "$name" "$build/tests/bench/bench-$name"
done
for name in kernels words; do
  bench "$name" "$build/tests/bench/bench-$name" --json "$results/$name.json"
done
bench graph python3 "$here/bench-graph.py" "$build" --json "$results/graph.json"
if $peers; then
  bench peers "$here/peers-venv.sh" "$venv"
  "$venv/bin/python" "$here/peers.py" "$build" --json "$results/peers.json"
fi

if [ -n "$json" ]; then
  python3 - "$json" "$results"/*.json << 'PY'
import json, os, platform, sys

def cpu():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()

merged = {"cpu": cpu(), "cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as file:
        merged[os.path.splitext(os.path.basename(path))[0]] = json.load(file)
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(merged, file, indent=1)
PY
  echo "results: $json"
fi
