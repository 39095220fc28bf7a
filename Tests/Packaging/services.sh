#!/usr/bin/env bash
# The package's units under a real systemd, booted as a container: the receiver, a mount of the system, a mount of fstab, and
# what is left of a recording while everything of the mount is killed. As root; needs debootstrap, systemd-nspawn, /dev/fuse.
#
#   Tests/Packaging/services.sh .build-deb/reelfs_VERSION_ARCH.deb ROOT
#
# ROOT: made by  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,fuse3,attr bookworm ROOT ; it is copied.
set -euo pipefail

package=$(readlink -f "$1")
work=$(mktemp -d)
root=$work/root
# Only what this test copied: a container's mounts have ended with it.
trap 'rm -rf --one-file-system "$work"' EXIT
cp -a "$2" "$root"
cp "$package" "$root/tmp/reelfs.deb"
for file in /etc/apt/apt.conf.d/*proxy*; do [ ! -f "$file" ] || cp "$file" "$root/etc/apt/apt.conf.d/"; done
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
chroot "$root" sh -c 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends /tmp/reelfs.deb fuse3 attr' >"$work/log" 2>&1 \
  || { cat "$work/log"; exit 1; }

mkdir -p "$root/mnt/rec" "$root/mnt/boot" "$root/etc/systemd/system/multi-user.target.wants"
printf 'destination: http://127.0.0.1:8090\nsettle: 0.2\nmax-lag: 1\nmount-options: allow_other\n' >"$root/etc/reelfs/mnt-rec.yaml"
echo 'http://127.0.0.1:8090 /mnt/boot fuse.reelfs defaults,_netdev,nofail,settle=0.2,max-lag=1 0 0' >"$root/etc/fstab"
ln -s /usr/lib/systemd/system/reelfs-receive.service "$root/etc/systemd/system/multi-user.target.wants/"
ln -s /usr/lib/systemd/system/reelfs@.service "$root/etc/systemd/system/multi-user.target.wants/reelfs@mnt-rec.service"

cat >"$root/usr/local/bin/check" <<'CHECK'
#!/bin/bash
# Runs in the container; its last line is a closing line.
passed=0 failed=0
check() {  # WHAT COMMAND…
  local what=$1; shift
  if "$@"; then passed=$((passed + 1)); echo "ok: $what"; else failed=$((failed + 1)); echo "FAILED: $what"; fi
}
eventually() { for _ in $(seq 200); do "$@" 2>/dev/null && return; sleep 0.1; done; return 1; }
synced() { [ "$(getfattr --only-values -n user.sync.status "$1")" = synced ]; }
active() { [ "$(systemctl is-active "$1")" = active ]; }

check "the receiver is ready" eventually active reelfs-receive
check "the receiver says what it does" sh -c 'systemctl status reelfs-receive | grep -q "Status: \"receiving on"'
check "the receiver is no root" sh -c '[ "$(stat -c %U /proc/$(systemctl show -P MainPID reelfs-receive))" = reelfs ]'
check "the system's mount is ready" eventually active reelfs@mnt-rec
check "fstab's mount is there" eventually grep -q ' /mnt/boot fuse.reelfs ' /proc/self/mounts
echo data >/mnt/rec/one; echo data >/mnt/boot/two
check "the system's mount uploads" eventually synced /mnt/rec/one
check "fstab's mount uploads" eventually synced /mnt/boot/two
check "what arrived lies with the receiver" sh -c 'find /var/lib/reelfs-receive/recordings -name one | grep -q one'
check "another user's file belongs to that user" sh -c 'install -d -m 777 /mnt/rec/all && setpriv --reuid nobody --clear-groups touch /mnt/rec/all/x && [ "$(stat -c %U /mnt/rec/all/x)" = nobody ]'

# A recorder that goes on while all processes of the mount are killed, three times.
( for i in $(seq 60); do head -c 100000 /dev/urandom || exit 1; sleep 0.1; done >/mnt/rec/take || echo broken >/recorder-failed ) &
recorder=$!
for _ in 1 2 3; do sleep 1.5; systemctl kill --kill-whom=all -s KILL reelfs@mnt-rec; done
wait $recorder
check "systemd keeps the descriptors and starts it again" eventually active reelfs@mnt-rec
check "the recorder saw no error" test ! -e /recorder-failed
check "every byte was recorded" test "$(stat -c %s /mnt/rec/take)" = 6000000
check "and uploaded" eventually synced /mnt/rec/take
check "bytes are the same at the receiver" sh -c 'cmp /mnt/rec/take "$(find /var/lib/reelfs-receive/recordings -name take)"'
check "reload works" systemctl reload reelfs@mnt-rec
check "stop unmounts" sh -c 'systemctl stop reelfs@mnt-rec && ! grep -q " /mnt/rec " /proc/self/mounts'
check "fstab's mount ends with umount" umount /mnt/boot
journalctl --no-pager -b -u 'reelfs*' -p warning | tail -20
echo "$passed passed, $failed failed"
CHECK
chmod +x "$root/usr/local/bin/check"
cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=reelfs-receive.service reelfs@mnt-rec.service remote-fs.target
[Service]
Type=oneshot
TimeoutStartSec=180
ExecStart=/bin/sh -c '/usr/local/bin/check >/result 2>&1; systemctl poweroff --no-block'
UNIT
ln -s /etc/systemd/system/check.service "$root/etc/systemd/system/multi-user.target.wants/"
# Without a desktop's targets there is nothing to wait for.
ln -sf /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"

timeout 240 systemd-nspawn --register=no --keep-unit --quiet --private-network --bind=/dev/fuse --directory="$root" --boot >"$work/boot" 2>&1 \
  || { [ -s "$root/result" ] || { tail -50 "$work/boot"; exit 1; }; }
cat "$root/result"
tail -n 1 "$root/result" | grep -q ' 0 failed$'
