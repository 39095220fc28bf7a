#!/usr/bin/env bash
# What the peer tests need, into .build/peers: a Python with the packages of requirements.txt, and nginx and libfaketime
# unpacked from Debian's packages. Nothing is installed on the machine, so no nginx starts by itself.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

peers=.build/peers
wanted=$(cat Tests/Peers/requirements.txt Tests/Peers/setup.sh | sha256sum)
[ "$(cat $peers/done 2>/dev/null)" != "$wanted" ] || exit 0

[ -x $peers/bin/pip ] || python3 -m venv $peers
$peers/bin/pip install --quiet --disable-pip-version-check --requirement Tests/Peers/requirements.txt

if [ ! -x /usr/sbin/nginx ] || ! ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1; then
  mkdir -p $peers/debs
  cd $peers/debs
  # The package lists may be older than what is on the server.
  apt-get download -qq nginx libfaketime 2>/dev/null || {
    [ "$(id -u)" -ne 0 ] || apt-get update -qq
    apt-get download -qq nginx libfaketime
  }
  for package in *.deb; do dpkg-deb -x "$package" ../debian; done
  cd - >/dev/null
fi
printf '%s' "$wanted" >$peers/done
