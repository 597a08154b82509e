#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# try-deb.sh FOLDER BUILD: installs the packages of FOLDER in a minimal Debian under a systemd of its own, uses
# the service, upgrades, removes, purges: trial.sh. Needs root, mmdebstrap and systemd-nspawn; BUILD is
# where seed-make-random-model is. Nothing of it outlives this script but the root it starts from,
# which is kept in FOLDER/root-SUITE.tar, and what was downloaded.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
debs=$(readlink -f "$1")
build=$(readlink -f "$2")
suite=${SEED_SUITE:-bookworm}
base=$debs/root-$suite.tar
[ "$(id -u)" -eq 0 ] || { echo "try-deb.sh: a root of its own needs root" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -f "$base" ]; then
  mmdebstrap --quiet --mode=root --variant=apt --dpkgopt=force-unsafe-io \
    --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
    --include=systemd,systemd-sysv "$suite" "$debs/part-$suite.tar" ${SEED_MIRROR:-}
  mv "$debs/part-$suite.tar" "$base"
fi
root=$work/root
mkdir "$root"
tar -C "$root" -xf "$base"
mkdir -p "$root/srv/trial/models" "$root/srv/trial/debs"
find "$debs" -maxdepth 1 -name "*.deb" ! -name "*-dbgsym_*" ! -name "libseed-dev_*" -exec cp -t "$root/srv/trial/debs" {} +
cp "$here/trial.sh" "$here/trial.yaml" "$root/srv/trial"
for name in a b; do
  "$build/tests/tools/seed-make-random-model" --size mini --image-size 64 --seed 1 \
    --out "$root/srv/trial/models/$name" >/dev/null
done
# What the packages depend on is fetched now: the machine below has no network.
cp /etc/resolv.conf "$root/etc/resolv.conf"
mkdir -p "$debs/archives"
find "$debs/archives" -name '*.deb' -exec cp -t "$root/var/cache/apt/archives" {} +
chroot "$root" sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends --download-only \
  /srv/trial/debs/*.deb gstreamer1.0-libav gstreamer1.0-plugins-bad procps' >"$work/apt.log" 2>&1 ||
  { cat "$work/apt.log" >&2; exit 1; }
find "$root/var/cache/apt/archives" -maxdepth 1 -name '*.deb' -exec cp -u -t "$debs/archives" {} +

cat >"$root/etc/systemd/system/trial.service" <<'TEXT'
[Unit]
After=multi-user.target
FailureAction=poweroff-force
SuccessAction=poweroff-force
[Service]
Type=oneshot
Environment=DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
ExecStart=/bin/bash /srv/trial/trial.sh
StandardOutput=file:/srv/trial/out
StandardError=file:/srv/trial/err
TimeoutStartSec=600
TEXT
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -s ../trial.service "$root/etc/systemd/system/default.target.wants/trial.service"
timeout 700 systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit --private-network \
  --console=pipe </dev/null >"$work/console" 2>&1 || true
cat "$root/srv/trial/out" 2>/dev/null || { tail -n 50 "$work/console" >&2; exit 1; }
if [ ! -f "$root/srv/trial/passed" ]; then
  tail -n 60 "$root/srv/trial/err" >&2
  exit 1
fi
