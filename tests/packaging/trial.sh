#!/bin/bash
# SPDX-License-Identifier: MIT
# The life of the package on one machine, run there as root by try-deb.sh. What it prints is what holds.
set -euo pipefail
cd /srv/trial
trap 'echo "FAILED at line $LINENO: $BASH_COMMAND"; journalctl -u seedd --no-pager -n 40; systemctl --no-pager status seedd || true' ERR

# until COMMAND ...: waits for it to succeed, two minutes at most
until_true() {
  local end=$((SECONDS + 120))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "never: $*"; return 1; }
    sleep 0.2
  done
}
state_is() { seedctl list | grep -Eq "^trial +$1 "; }
pid_of() { systemctl show -P MainPID "$1"; }
shows() { grep -q "$2" "/proc/$1/status"; }
# every line is reached only when those before held; no conditions are joined by &&, which set -e does not see
ok() { echo "ok: $*"; }

apt-get install -y -q --no-install-recommends /srv/trial/debs/*.deb gstreamer1.0-libav gstreamer1.0-plugins-bad procps >apt.log 2>&1 || { tail -n 20 apt.log; false; }
[ "$(systemctl is-active seedd)" = active ]
[ "$(systemctl is-enabled seedd)" = enabled ]
[ "$(systemctl show -P Type seedd)" = notify ]
[ "$(stat -c '%U:%G %a' /run/seed /var/lib/seed /var/lib/seed/models /var/cache/seed | sort -u)" = "seed:seed 750" ]
[ "$(stat -c '%U:%G %a' /run/seed/control)" = "seed:seed 660" ]
[ "$(systemctl --global is-enabled seedd.service 2>/dev/null || true)" != enabled ]
ok "installed: the service is ready, folders and socket belong to it, no user's daemon is enabled"

seedctl check --set model=/srv/trial/models/a /usr/share/seed/graphs/lobby.yaml
cp -r models/a models/b /var/lib/seed/models
chown -R seed:seed /var/lib/seed/models
for backend in onednn native openblas; do
  sed -i '/^limits:/,$d' /etc/seed/seedd.yaml
  printf 'limits:\n  trial: { backend: %s, nice: 5 }\n' "$backend" >>/etc/seed/seedd.yaml
  seedd --check
  rm -f /etc/seed/graphs/trial.yaml
  systemctl restart seedd
  cp trial.yaml /etc/seed/graphs/
  until_true state_is running
  timeout 120 seedctl tail --count 5 trial/clip/embedding/ >tail.json
  timeout 120 seedctl tail --count 2 trial/-/train/ >train.json
  [ "$(wc -l <tail.json)" -eq 5 ]
  [ "$(wc -l <train.json)" -eq 2 ]
  ok "$backend: decodes, learns and serves in the sandbox"
done

daemon=$(pid_of seedd)
graph=$(pgrep -P "$daemon" -x seed-run)
for pid in "$daemon" "$graph"; do
  shows "$pid" '^Seccomp:[[:space:]]2'
  shows "$pid" '^NoNewPrivs:[[:space:]]1'
  shows "$pid" '^CapBnd:[[:space:]]0000000000000000'
  [ "$(stat -c %U "/proc/$pid")" = seed ]
done
[ "$(ps -o ni= -p "$graph" | tr -d ' ')" = 5 ]
inside() { nsenter -t "$daemon" --mount -- "$@"; }
[ -z "$(inside ls /home)" ]
for folder in /etc /usr /srv /root; do
  if inside touch "$folder/written"; then false; fi
done
inside touch /var/lib/seed/written
ls /var/cache/seed/gstreamer-1.0/registry.*.bin
ok "sandbox: filter, no capabilities, nothing to write but its own, nice level kept, plugin list in the cache"

systemctl reload seedd
[ "$(pid_of seedd)" = "$daemon" ]
[ "$(systemctl is-active seedd)" = active ]
kill -SEGV "$graph"
until_true sh -c "seedctl list | grep -E '^trial +running ' && ! kill -0 $graph"
[ "$(pid_of seedd)" = "$daemon" ]
ok "reload; a graph that crashes starts again under the same daemon"

kill -STOP "$daemon"
restarted() { [ "$(pid_of seedd)" != "$daemon" ] && [ "$(systemctl is-active seedd)" = active ]; }
until_true restarted
until_true state_is running
ok "watchdog: a daemon that hangs is replaced, its graphs run again"

# udev's group, which no container has
getent group render >/dev/null || echo 'g render -' | systemd-sysusers -
for example in cameras memory; do # a container may not grant what realtime.conf asks for
  install -D -m 644 "/usr/share/doc/seed/examples/$example.conf" "/etc/systemd/system/seedd.service.d/$example.conf"
  systemctl daemon-reload
  systemctl restart seedd
  until_true state_is running
done
[ "$(systemctl show -P PrivateDevices seedd)" = no ]
rm -r /etc/systemd/system/seedd.service.d
systemctl daemon-reload
systemctl restart seedd
until_true state_is running
ok "drop-ins for cameras and memory"

begin=$SECONDS
systemctl stop seedd
[ $((SECONDS - begin)) -lt 40 ]
[ "$(systemctl show -P Result seedd)" = success ]
[ -z "$(pgrep -x seed-run)" ]
[ ! -e /run/seed/control ]
mkdir -p /etc/seed/single
sed 's/loop: true/passes: 3/' trial.yaml >/etc/seed/single/trial.yaml
systemctl start seed-run@trial
finished() { [ "$(systemctl is-active seed-run@trial)" = inactive ]; }
until_true finished
[ "$(systemctl show -P Result seed-run@trial)" = success ]
rm -r /etc/seed/single
systemctl start seedd
until_true state_is running
ok "stop within its limit; one graph without the daemon"

denied=$(journalctl -u seedd -u seed-run@trial --no-pager | grep -ciE 'seccomp|operation not permitted' || true)
[ "$denied" = 0 ] || { journalctl -u seedd -u seed-run@trial --no-pager | grep -iE 'seccomp|operation not permitted' | head; false; }
ok "nobody was refused a system call aloud"

before=$(pid_of seedd)
apt-get install -y -q --reinstall -o Dpkg::Options::=--force-confold /srv/trial/debs/*.deb >>apt.log 2>&1
[ "$(pid_of seedd)" != "$before" ]
until_true state_is running
grep -q 'backend: openblas' /etc/seed/seedd.yaml
ok "upgrade: restarted, configuration kept, graphs run"

apt-get remove -y -q seed >>apt.log 2>&1
[ "$(systemctl is-active seedd)" != active ]
[ ! -e /usr/bin/seedd ]
[ -f /etc/seed/seedd.yaml ]
[ -f /etc/seed/graphs/trial.yaml ]
[ -z "$(pgrep -x 'seedd|seed-run')" ]
apt-get purge -y -q seed libseed0 >>apt.log 2>&1
[ ! -e /etc/seed/seedd.yaml ]
[ ! -e /var/cache/seed ]
[ ! -e /run/seed ]
[ -f /var/lib/seed/models/learned/model.safetensors ]
[ -f /etc/seed/graphs/trial.yaml ]
left=$(find / -xdev \( -path /srv -o -path /proc -o -path /sys -o -path /var/lib/seed -o -path /etc/seed -o -path /var/cache/apt \
  -o -path /var/log \) -prune -o \( -name '*seedd*' -o -name '*libseed*' -o -name 'libgstseed*' -o -name 'seed.conf' \) -print)
[ -z "$left" ] || { echo "left: $left"; false; }
ok "removed and purged: models and graphs are left, nothing else"
touch passed
