#!/usr/bin/env bash
# `make install`: puts the built program and what belongs to it into place, or takes it away again (--remove). Recordings,
# state and /etc are never touched.
#
# PREFIX   /usr/local or /usr; mount(8) looks for its helpers in /sbin alone, so these two go there whatever PREFIX says
# DESTDIR  a root folder to install into, for packages
# REELFS   the built program
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

prefix=${PREFIX:-/usr/local}
dest=${DESTDIR:-}
reelfs=${REELFS:-.build/release/reelfs}
# Debian's zsh looks for what packages bring in a folder of its own.
zsh=zsh/site-functions
if [ "$prefix" = /usr ]; then zsh=zsh/vendor-completions; fi

fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

[[ $prefix = /* ]] || fail "PREFIX must be an absolute path, not $prefix"

remove() {
  local share=$dest$prefix/share
  rm -f "$dest$prefix/bin/reelfs" "$dest$prefix/bin/reelfs-umount-safely" "$dest/sbin/mount.reelfs" "$dest/sbin/mount.fuse.reelfs" \
    "$share/man/man1/reelfs.1" "$share"/man/man1/reelfs-*.1 "$share/man/man8/mount.reelfs.8" "$share/man/man8/mount.fuse.reelfs.8" \
    "$share/bash-completion/completions/reelfs" "$share/$zsh/_reelfs" "$share/fish/vendor_completions.d/reelfs.fish" \
    "$dest$prefix/lib/systemd/system/reelfs@.service" "$dest$prefix/lib/systemd/system/reelfs-receive.service" \
    "$dest$prefix/lib/systemd/user/reelfs@.service" "$dest$prefix/lib/sysusers.d/reelfs.conf"
  rm -rf "$share/doc/reelfs"
}

# Manual pages and completions are what this very program says of itself.
install_pages() {
  local share=$dest$prefix/share pages
  pages=$(mktemp -d)
  mount-scripts/pages.py man "$reelfs" "$pages"
  install -d "$share/man/man1" "$share/man/man8"
  install -m 644 "$pages"/*.1 "$share/man/man1/"
  install -m 644 "$pages"/*.8 "$share/man/man8/"
  ln -sf mount.reelfs.8 "$share/man/man8/mount.fuse.reelfs.8"
  rm -rf "$pages"
  install -d "$share/bash-completion/completions" "$share/$zsh" "$share/fish/vendor_completions.d"
  # It is read by a shell, not run: without its first line.
  "$reelfs" --generate-completion-script bash | sed '1{/^#!/d}' >"$share/bash-completion/completions/reelfs"
  "$reelfs" --generate-completion-script zsh >"$share/$zsh/_reelfs"
  "$reelfs" --generate-completion-script fish >"$share/fish/vendor_completions.d/reelfs.fish"
}

install_units() {
  local kind unit lib=$dest$prefix/lib
  for kind in system user; do
    install -d "$lib/systemd/$kind"
    for unit in mount-scripts/systemd/"$kind"/*.service; do
      sed "s|@BINDIR@|$prefix/bin|g" "$unit" >"$lib/systemd/$kind/${unit##*/}"
      chmod 644 "$lib/systemd/$kind/${unit##*/}"
    done
  done
  install -D -m 644 mount-scripts/systemd/sysusers.conf "$lib/sysusers.d/reelfs.conf"
}

if [ "${1:-}" = --remove ]; then
  remove
  exit
fi
[ -x "$reelfs" ] || fail "$reelfs is not there: make build first"
install -D -m 755 --strip "$reelfs" "$dest$prefix/bin/reelfs"
install -m 755 mount-scripts/umount-safely.sh "$dest$prefix/bin/reelfs-umount-safely"
install -D -m 755 mount-scripts/mount.reelfs "$dest/sbin/mount.reelfs"
ln -sf mount.reelfs "$dest/sbin/mount.fuse.reelfs"
install_pages
install_units
install -d "$dest$prefix/share/doc/reelfs"
install -m 644 README.md docs/*.md "$dest$prefix/share/doc/reelfs/"
if [ -z "$dest" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
