#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# build-deb.sh FOLDER: Debian packages of the tracked files as they are in the work tree, built in
# FOLDER/seed and left in FOLDER. Called by ./dev deb, which installs what is needed.
set -euo pipefail
source_dir=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
mkdir -p "$1"
out=$(readlink -f "$1")

rm -rf "$out/seed"
rm -f "$out"/*.deb "$out"/*.buildinfo "$out"/*.changes
mkdir "$out/seed"
git -C "$source_dir" ls-files -z --recurse-submodules |
  while IFS= read -r -d '' file; do [ ! -e "$source_dir/$file" ] || printf '%s\0' "$file"; done |
  tar -C "$source_dir" --null --files-from=- -c | tar -x -C "$out/seed"
ln -s systemd/debian "$out/seed/debian"

cd "$out/seed"
# what the compiler is told by the environment belongs to other builds
env -u CFLAGS -u CPPFLAGS -u LDFLAGS -u DESTDIR dpkg-buildpackage -us -uc -b
cd "$out"
# --fail-on error: warnings are shown and do not end it
lintian --tag-display-limit 0 --allow-root --fail-on error ./*.changes
echo
ls -l ./*.deb
