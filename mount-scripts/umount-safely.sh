#!/bin/sh
# Ends a mount once everything is stored, or says what is not and leaves it mounted: for the moment before a disk is
# unplugged or a machine is switched off.
#
#   umount-safely.sh MOUNTPOINT [TIME]     TIME such as 90 or 15m; 10m when left out
#
# Exit codes as of reelfs: 0 stored and unmounted; 1 a mistake; 3 time was up; 4 something failed or is paused.
set -u

usage() {
  printf 'usage: %s MOUNTPOINT [TIME]   (TIME such as 90 or 15m; 10m when left out)\n' "${0##*/}" >&2
  exit 1
}

if [ $# -lt 1 ] || [ $# -gt 2 ]; then usage; fi
case $1 in -*) usage ;; esac
mountpoint=$1
patience=${2:-10m}
reelfs=${REELFS:-reelfs}

# Whoever still records there would only be told by the unmount at the end; who reads may go on reading until then.
if command -v fuser >/dev/null && users=$(fuser -m "$mountpoint" 2>/dev/null) && [ -n "$users" ]; then
  printf 'still in use by process%s; waiting for uploads all the same (fuser -vm %s shows who)\n' "$users" "$mountpoint" >&2
fi
"$reelfs" unmount "$mountpoint" --wait --timeout "$patience"
code=$?
if [ $code -eq 0 ]; then printf '%s is unmounted: everything is stored.\n' "$mountpoint"; fi
exit $code
