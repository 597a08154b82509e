#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds and tests the tree on another Debian or another processor; see docs/building.md. Called by
# ./dev port, which names the packages:
#   SEED_RUN_PACKAGES, SEED_BUILD_PACKAGES, SEED_TEST_PACKAGES   names with spaces between
# Every mount is made in a mount namespace of this script's own, so none outlives it, however it ends.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
source_dir=$(readlink -f "$here/../..")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/seed/ports
# nobody: in every Debian, and may do nothing
user=65534

usage() {
  cat <<'TEXT'
usage: ./dev port [--fresh] [--work-tree] NAME [MESON TEST OPTION ...]

  debian12, debian13  a minimal root of that Debian with this project's packages alone: builds and
                      tests there, as a user who may install nothing (needs root for chroot)
  arm64               a cross build, its pure tests under qemu

  --fresh             make the root anew; otherwise one is kept in $XDG_CACHE_HOME/seed/ports
  --work-tree         with what is not committed (of tracked files); otherwise HEAD

  CC=clang, SEED_MESON_OPTIONS='-Donednn=disabled' and SEED_MIRROR=URI do what they say.
TEXT
}

die() {
  echo "./dev port: $*" >&2
  exit 1
}

suite_of() { # NAME
  case $1 in
  debian12) echo bookworm ;;
  debian13) echo trixie ;;
  esac
}

need() { # COMMAND PACKAGE
  command -v "$1" >/dev/null || die "$1 is missing; install the package $2 (./dev port does it as root)"
}

# in_namespace FLAG ...: this script once more in namespaces of its own. All that it mounts and starts
# ends with it, and it ends with us; a signal to us is a kill for it, since process 1 of a namespace
# takes no other.
in_namespace() {
  SEED_PORT_ROOT=$root unshare --mount --pid --fork --kill-child --propagation private "$@" \
    "$0" "${arguments[@]}" &
  child=$!
  trap '[ -z "$child" ] || kill -KILL "$child" 2>/dev/null || true; rm -rf ${tree:+"$tree"}' EXIT
  trap 'exit 1' HUP INT TERM
  wait "$child"
  child=
}

# Never into what somebody has mounted in it.
remove_root() { # DIR
  rm -rf --one-file-system "$1"
}

# make_root NAME SUITE PACKAGES [MMDEBSTRAP OPTION ...]: sets root, which is made once for a list of
# packages. Half a root never gets the name, and none is replaced while somebody uses it.
make_root() {
  local dir suite=$2 packages=$3 begin=$SECONDS apart=()
  # its mounts of /proc, /sys and /dev in a namespace of their own, too
  [ "$(id -u)" -ne 0 ] || apart=(unshare --mount --propagation private)
  dir=$cache/$1-$(echo "$packages" | sha256sum | head -c 8)
  root=$dir
  mkdir -p "$cache"
  exec 9>"$dir.lock"
  flock 9
  shift 3
  if [ -d "$dir" ] && [ -z "$fresh" ]; then
    echo "the root is $dir, made $(date -r "$dir/etc/debian_version" '+%F')"
    return
  fi
  need mmdebstrap mmdebstrap
  echo "making a root of $suite: $packages"
  remove_root "$dir"
  remove_root "$dir.part"
  "${apart[@]}" mmdebstrap --quiet \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --aptopt='Acquire::Languages "none"' --aptopt='Acquire::Retries "3"' \
    "$@" --include="${packages// /,}" "$suite" "$dir.part" ${SEED_MIRROR:-} ||
    { remove_root "$dir.part"; die "no root of $suite could be made"; }
  touch "$dir.part/etc/debian_version"
  mv "$dir.part" "$dir"
  echo "made in $((SECONDS - begin)) s"
  forget_old_roots "${dir%-*}"
}

# Roots of lists that were: not used for a month.
forget_old_roots() { # PREFIX
  local old
  for old in "$1"-*; do
    [ -d "$old" ] && [ "$old" != "$root" ] && [ -n "$(find "$old.lock" -mtime +30 2>/dev/null)" ] || continue
    remove_root "$old"
    rm -f "$old.lock"
  done
}

copy_tree() { # DIR
  local commit=
  [ -z "$work_tree" ] || commit=$(git -C "$source_dir" stash create)
  git -C "$source_dir" archive "${commit:-HEAD}" | tar -x -C "$1"
}

# A Debian of its own: nothing of this machine is in it but the kernel.
prepare_debian() { # NAME SUITE
  local packages
  [ "$(id -u)" -eq 0 ] || die "chroot needs root: sudo ./dev port $1"
  need unshare util-linux
  need ip iproute2
  packages="$SEED_RUN_PACKAGES $SEED_BUILD_PACKAGES $SEED_TEST_PACKAGES"
  # net: the tests talk to this machine alone, on ports that nobody else has
  unshare --mount --pid --fork --net true 2>/dev/null ||
    die "this machine allows no namespaces (is it a container without CAP_SYS_ADMIN?)"
  [ "${CC:-}" != clang ] || packages+=" clang"
  make_root "$1" "$2" "$packages" --mode=root --variant=apt
  mkdir -p "$root/srv/seed"
  flock -s 9
  find "$cache" -maxdepth 1 -name 'tree.*' -mtime +1 -exec rm -rf {} + # of a run that was killed
  tree=$(mktemp -d "$cache/tree.XXXXXX")
  trap 'rm -rf "$tree"' EXIT
  copy_tree "$tree"
  chown -R "$user" "$tree"
  export SEED_PORT_TREE=$tree
}

run_debian() { # MESON TEST OPTION ...
  ip link set lo up
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind --make-rslave /dev "$root/dev"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
  mount --bind "$SEED_PORT_TREE" "$root/srv/seed"
  mount -o remount,bind,ro "$root"
  chroot "$root" setpriv --reuid "$user" --regid "$user" --clear-groups \
    env -i PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 ${CC:+CC="$CC"} \
    SEED_MESON_OPTIONS="--werror ${SEED_MESON_OPTIONS:-}" \
    ${OPENBLAS_CORETYPE:+OPENBLAS_CORETYPE="$OPENBLAS_CORETYPE"} \
    sh -c 'cd /srv/seed && . /etc/os-release && echo "$PRETTY_NAME" && ${CC:-gcc} --version | head -n 1 &&
      exec ./dev test "$@"' sh "$@"
}

# What the maintainer scripts would have done, which belong to another processor.
link_alternatives() {
  local lib=$root/usr/lib/aarch64-linux-gnu
  ln -sf openblas-pthread/libopenblas.so "$lib/libopenblas.so"
  ln -sf openblas-pthread/libopenblas.so.0 "$lib/libopenblas.so.0"
  ln -sf ../openblas-pthread/pkgconfig/openblas.pc "$lib/pkgconfig/openblas.pc"
}

write_cross_file() {
  local compiler="'aarch64-linux-gnu-gcc'"
  [ "${CC:-}" != clang ] || compiler="'clang', '--target=aarch64-linux-gnu'"
  ! command -v ccache >/dev/null || compiler="'ccache', $compiler"
  cat <<TEXT
[binaries]
c = [$compiler]
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = 'qemu-aarch64-static'

[properties]
sys_root = '$root'
pkg_config_libdir = ['$root/usr/lib/aarch64-linux-gnu/pkgconfig', '$root/usr/share/pkgconfig']

[built-in options]
c_args = ['--sysroot=$root']
c_link_args = ['--sysroot=$root', '-Wl,-rpath-link,$root/usr/lib/aarch64-linux-gnu']

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
TEXT
}

# Tests start programs of their own, so the kernel has to know who runs them. binfmt_misc of a user
# namespace (since Linux 6.7) is nobody else's; on an older kernel the qemu packages register theirs.
enter_arm64() {
  local misc=/proc/sys/fs/binfmt_misc
  if "$root/usr/bin/getconf" PAGESIZE >/dev/null 2>&1; then
    SEED_PORT_ROOT=$root exec "$0" "${arguments[@]}"
  fi
  unshare --user --map-root-user --mount mount -t binfmt_misc none "$misc" 2>/dev/null ||
    die "the kernel does not run arm64 programs; install qemu-user-static and binfmt-support, and see update-binfmts --display"
  in_namespace --user --map-root-user
}

prepare_arm64() {
  local suite packages=libc-bin package
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  for package in $SEED_BUILD_PACKAGES $SEED_TEST_PACKAGES; do
    case $package in
    *-dev) packages+=" $package" ;;
    esac
  done
  need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
  need qemu-aarch64-static qemu-user-static
  make_root arm64 "$suite" "$packages" --variant=extract --architectures=arm64
  link_alternatives
  flock -s 9
  export QEMU_LD_PREFIX=$root PKG_CONFIG_SYSROOT_DIR=$root
  unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE # names of another processor
}

run_arm64() { # MESON TEST OPTION ...
  local build=$source_dir/build-arm64 misc=/proc/sys/fs/binfmt_misc
  if ! "$root/usr/bin/getconf" PAGESIZE >/dev/null 2>&1; then
    mount -t binfmt_misc none "$misc"
    cat /usr/lib/binfmt.d/qemu-aarch64.conf >"$misc/register"
  fi
  [ "${CC:-}" != clang ] || build+=-clang
  mkdir -p "$build"
  write_cross_file >"$build/cross.ini"
  [ -f "$build/build.ninja" ] && [ -z "$fresh" ] ||
    env -u CC meson setup "$build" --cross-file "$build/cross.ini" --werror ${SEED_MESON_OPTIONS:-}
  ninja -C "$build"
  [ $# -gt 0 ] || set -- --suite pure --suite fuzz
  rm -f "$build"/meson-logs/testlog*
  # an emulated processor is about ten times slower
  meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 20 "$@" || true
  python3 "$source_dir/tests/tools/count-tests.py" "$build"
}

fresh=
work_tree=
tree=
child=
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
  --fresh) fresh=1 ;;
  --work-tree) work_tree=1 ;;
  *) break ;;
  esac
  shift
done
name=${1:-}
[ $# -eq 0 ] || shift
root=${SEED_PORT_ROOT:-}
case $name in
debian12 | debian13)
  if [ "$root" ]; then
    run_debian "$@"
  else
    prepare_debian "$name" "$(suite_of "$name")"
    in_namespace --net
  fi
  ;;
arm64)
  if [ "$root" ]; then
    run_arm64 "$@"
  else
    prepare_arm64
    enter_arm64
  fi
  ;;
-h | --help | help) usage ;;
*)
  usage >&2
  exit 2
  ;;
esac
