#!/usr/bin/env bash
# Installs the Debian packages that reelfs is built with and tested with, and those named as arguments, as far as they are
# missing, and checks Swift and /dev/fuse. Changes nothing when all is there.
set -euo pipefail

# What the program is linked against, and what mounts for ordinary users.
build_packages=(libfuse3-dev fuse3 libsqlite3-dev libcurl4-openssl-dev libzstd-dev pkg-config)
# The recorders and tools of the demo and the tests.
asked_for=("$@")
test_packages=(ffmpeg sox tcpdump rsync attr openssl e2fsprogs strace curl python3)
swift_major=6
swift_minor=2

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] && return 0
  # Newer releases have pkgconf in its place.
  [ "$1" = pkg-config ] && command -v pkg-config >/dev/null
}

install_missing() {
  local missing=() as_root=() package
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || fail \
    "this script knows Debian and its relatives only; elsewhere install what corresponds to: ${build_packages[*]} ${test_packages[*]}"
  for package in "${build_packages[@]}" "${test_packages[@]}" "${asked_for[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "as root, install: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq || say "apt-get update failed; going on with the lists that are there"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >/dev/null || fail "apt-get could not install: ${missing[*]}"
}

check_swift() {
  local version
  command -v swift >/dev/null || fail \
    "Swift $swift_major.$swift_minor or newer is needed and no swift is in the PATH: see swift.org/install"
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
  [[ $version =~ ^([0-9]+)\.([0-9]+)$ ]] || fail "cannot tell which version this is: $(command -v swift)"
  local major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
  ((major > swift_major || (major == swift_major && minor >= swift_minor))) || fail \
    "Swift $swift_major.$swift_minor or newer is needed, $(command -v swift) is $version: see swift.org/install"
}

check_fuse() {
  [ -e /dev/fuse ] || fail \
    "/dev/fuse is missing: modprobe fuse; in a container start it with --device /dev/fuse --cap-add SYS_ADMIN"
  [ -r /dev/fuse ] && [ -w /dev/fuse ] || fail \
    "$(id -un) may not use /dev/fuse ($(stat -c '%A %U:%G' /dev/fuse)): chmod 666 /dev/fuse as root"
}

install_missing
check_swift
check_fuse
say "all there: packages, Swift, /dev/fuse"
