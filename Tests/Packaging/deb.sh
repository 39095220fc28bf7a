#!/usr/bin/env bash
# The package in a root of its own: installs it with what it needs, mounts by hand, by fstab, as a user and read-only, takes
# it off again, and looks what is left. As root; needs debootstrap, /dev/fuse and Debian's mirror.
#
#   Tests/Packaging/deb.sh .build-deb/reelfs_VERSION_ARCH.deb [ROOT]
#
# ROOT: a root made before by debootstrap, which is copied; made anew when left out.
set -euo pipefail

package=$(readlink -f "$1")
base=${2:-}
if [ -z "${REELFS_PACKAGING_PRIVATE:-}" ]; then
  # Its mounts are nobody else's business, and its processes end with it.
  REELFS_PACKAGING_PRIVATE=1 exec unshare --mount --propagation private --pid --fork --kill-child=KILL --mount-proc "$0" "$package" ${base:+"$base"}
fi

work=$(mktemp -d)
root=$work/root
passed=0
cleanup() {
  local code=$?
  for _ in 1 2 3; do awk -v root="$root" 'index($5, root) == 1 {print $5}' /proc/self/mountinfo | tac | xargs -r -n 1 umount -l 2>/dev/null || true; done
  ! grep -q " $root/" /proc/self/mountinfo || { echo "not removed: mounts are left in $root"; exit 1; }
  rm -rf --one-file-system "$work"
  printf '%d passed, %d failed\n' "$passed" $((code != 0))
}
trap cleanup EXIT

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8 "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
pass() { passed=$((passed + 1)); echo "ok: $*"; }
synced() {  # MOUNTPOINT NAME
  for _ in $(seq 100); do
    [ "$(inside getfattr --only-values -n user.sync.status "$1/$2" 2>/dev/null)" = synced ] && return
    sleep 0.1
  done
  fail "$1/$2 is not synced: $(inside cat "$1/.status/summary")"
}

if [ -n "$base" ]; then cp -a "$base" "$root"; else debootstrap --variant=minbase bookworm "$root" >"$work/log" || { cat "$work/log"; exit 1; }; fi
# Which every installed system has; fusermount3 reads it.
[ -e "$root/etc/mtab" ] || [ -L "$root/etc/mtab" ] || ln -s ../proc/self/mounts "$root/etc/mtab"
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
# As udev makes it.
mknod -m 666 "$root/dev/fuse" c 10 229 2>/dev/null || chmod 666 "$root/dev/fuse"
for device in null zero random urandom; do touch "$root/dev/$device"; mount --bind /dev/$device "$root/dev/$device"; done
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
for file in /etc/apt/apt.conf.d/*proxy*; do [ ! -f "$file" ] || cp "$file" "$root/etc/apt/apt.conf.d/"; done
cp "$package" "$root/tmp/reelfs.deb"

inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends /tmp/reelfs.deb >"$work/log" 2>&1 || { cat "$work/log"; fail "it does not install"; }
! inside ldd /usr/bin/reelfs | grep -q 'not found\|swift' || fail "libraries are missing"
[ "$(inside reelfs --version)" = "$(inside dpkg-query -W -f '${Version}' reelfs)" ] || fail "versions differ"
inside getent passwd reelfs >/dev/null || fail "there is no user reelfs"
pass "installs with what it needs, and runs without Swift"

inside apt-get install -y -qq --no-install-recommends fuse3 attr >"$work/log" 2>&1 || { cat "$work/log"; fail "fuse3"; }
inside mkdir -p /mnt/rec /mnt/user
inside reelfs mount /mnt/rec --daemon --settle 0.1
inside sh -c 'head -c 3000000 /dev/urandom >/mnt/rec/take.wav'
synced /mnt/rec take.wav
inside reelfs status /mnt/rec >/dev/null
inside reelfs-umount-safely /mnt/rec 20
pass "root mounts, records, and unmounts safely"

inside sh -c 'reelfs receive --listen 127.0.0.1:0 --data /srv/recordings >/tmp/receive.log 2>&1 & echo $! >/tmp/receive.pid'
for _ in $(seq 100); do grep -q 'receiving on' "$root/tmp/receive.log" && break; sleep 0.1; done
receiver=$(grep -o 'http://127[0-9.:]*' "$root/tmp/receive.log")
echo "$receiver /mnt/rec fuse.reelfs defaults,_netdev,nofail,x-systemd.automount,settle=0.1,max_lag=1,device=booth-1 0 0" >"$root/etc/fstab"
inside mount -a
inside sh -c 'echo x >/mnt/rec/fstab.txt'
synced /mnt/rec fstab.txt
[ -e "$root/srv/recordings/recordings/booth-1/fstab.txt" ] || fail "options did not arrive"
[ -d "$root/var/lib/reelfs/mnt-rec/state" ] || fail "the queue of fstab's mount is not in /var/lib/reelfs"
inside mount -a
inside umount /mnt/rec
for _ in $(seq 100); do grep -q ' /mnt/rec ' "$root/proc/self/mounts" || break; sleep 0.1; done
pass "mount -a mounts it from fstab, twice is once, umount ends it"

echo "$receiver /mnt/rec reelfs ro 0 0" >"$root/etc/fstab"
! inside mount /mnt/rec 2>"$work/said" || fail "a read-only mount was made"
grep -q 'cannot be mounted read-only' "$work/said" || fail "no word about ro: $(cat "$work/said")"
pass "what cannot be is refused in a sentence"

inside useradd --create-home anna
inside chown anna /mnt/user
echo "$receiver /mnt/user fuse.reelfs noauto,user,settle=0.1,max-lag=1 0 0" >"$root/etc/fstab"
# fusermount3 is set-user-id root; a test's root on a nosuid file system could not show this.
inside setpriv --reuid anna --regid anna --init-groups env HOME=/home/anna mount /mnt/user
inside setpriv --reuid anna --regid anna --init-groups sh -c 'echo x >/mnt/user/mine.txt; for i in $(seq 100); do [ "$(getfattr --only-values -n user.sync.status /mnt/user/mine.txt)" = synced ] && exit; sleep 0.1; done; exit 1' || fail "a user's mount does not upload"
[ -d "$root/home/anna/.local/state/reelfs/mnt-user/state" ] || fail "a user's queue is not in the user's home"
inside setpriv --reuid anna --regid anna --init-groups fusermount3 -u /mnt/user
pass "an ordinary user mounts a line with \"user\""

kill "$(cat "$root/tmp/receive.pid")"
inside apt-get remove -y -qq reelfs >"$work/log" 2>&1 || { cat "$work/log"; fail "it does not go away"; }
if [ -e "$root/usr/bin/reelfs" ] || [ -e "$root/sbin/mount.fuse.reelfs" ]; then fail "programs are left"; fi
[ -e "$root/etc/default/reelfs-receive" ] || fail "settings must stay until a purge"
inside apt-get purge -y -qq reelfs >"$work/log" 2>&1 || { cat "$work/log"; fail "it cannot be purged"; }
[ ! -e "$root/etc/default/reelfs-receive" ] || fail "a purge leaves settings"
[ -e "$root/var/lib/reelfs/mnt-rec/state/recordings/fstab.txt" ] || fail "a purge took recordings away"
grep -q 'may hold recordings' "$work/log" || fail "nobody is told that recordings are left"
[ -z "$(find "$root" -xdev -path '*reelfs*' ! -path '*/var/lib/reelfs*' ! -path '*/home/*' ! -path '*/root/.local/*' ! -path '*/tmp/*' ! -path '*/var/log/*' ! -path '*/var/cache/*')" ] \
  || fail "left: $(find "$root" -xdev -path '*reelfs*' ! -path '*/var/lib/reelfs*' ! -path '*/home/*' ! -path '*/root/.local/*' ! -path '*/tmp/*' ! -path '*/var/log/*' ! -path '*/var/cache/*')"
pass "removes and purges cleanly, and leaves every recording"
