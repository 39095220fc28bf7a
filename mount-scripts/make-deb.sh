#!/usr/bin/env bash
# `make deb`: a Debian package of this checkout, .build-deb/reelfs_VERSION_ARCH.deb. Swift's own libraries are linked in, so
# that it runs where there is no Swift; what else it needs is computed from the program (dpkg-shlibdeps).
#
# REELFS  a program to pack instead of building one (it must not need Swift's libraries)
# MAINTAINER  "Name <address>"; git's user when left out
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

build=.build-deb
root=$build/root
fail() { printf 'deb: %s\n' "$*" >&2; exit 1; }

for tool in dpkg-deb dpkg-shlibdeps fakeroot strip python3; do
  command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install dpkg-dev fakeroot binutils python3"
done

if [ -z "${REELFS:-}" ]; then
  swift build -c release --static-swift-stdlib --scratch-path "$build" --product reelfs
  REELFS=$build/release/reelfs
fi
! ldd "$REELFS" | grep -q 'libswift\|libFoundation' || fail "$REELFS needs Swift's libraries: build it with --static-swift-stdlib"

version=$("$REELFS" --version)
arch=$(dpkg --print-architecture)
maintainer=${MAINTAINER:-$(git config user.name) <$(git config user.email)>}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

rm -rf "$root"
mkdir -p "$root/DEBIAN"
umask 022
REELFS=$REELFS PREFIX=/usr DESTDIR=$PWD/$root mount-scripts/install.sh
doc=$root/usr/share/doc/reelfs

install -D -m 644 mount-scripts/debian/reelfs-receive.default "$root/etc/default/reelfs-receive"
install -d -m 755 "$root/etc/reelfs"
echo /etc/default/reelfs-receive >"$root/DEBIAN/conffiles"
install -m 644 mount-scripts/debian/copyright "$doc/copyright"
# The licences of what is linked in, one after the other.
for licence in .build/checkouts/*/LICENSE* "$build"/checkouts/*/LICENSE*; do
  if [ -f "$licence" ]; then part=${licence%/*}; printf '\n==== %s\n\n' "${part##*/}"; cat "$licence"; fi
done | gzip -9n >"$doc/licences-of-parts.gz"
printf 'reelfs (%s) unstable; urgency=medium\n\n  * Version %s.\n\n -- %s  %s\n' \
  "$version" "$version" "$maintainer" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.gz"
rm "$root/usr/share/man/man8/mount.fuse.reelfs.8"
gzip -9n "$root"/usr/share/man/man*/*.[18]
ln -s mount.reelfs.8.gz "$root/usr/share/man/man8/mount.fuse.reelfs.8.gz"
install -m 755 mount-scripts/debian/postinst mount-scripts/debian/prerm mount-scripts/debian/postrm "$root/DEBIAN/"
install -D -m 644 mount-scripts/debian/lintian-overrides "$root/usr/share/lintian/overrides/reelfs"

# dpkg-shlibdeps wants to stand in a source package.
mkdir -p "$build/shlibs/debian"
printf 'Source: reelfs\n\nPackage: reelfs\nArchitecture: any\n' >"$build/shlibs/debian/control"
depends=$(cd "$build/shlibs" && dpkg-shlibdeps -O "$OLDPWD/$root/usr/bin/reelfs" | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || fail "dpkg-shlibdeps found no dependencies"
cat >"$root/DEBIAN/control" <<CONTROL
Package: reelfs
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends
Recommends: fuse3, ca-certificates
Section: utils
Priority: optional
Description: recording folder that uploads itself
 Whatever is written into the mounted folder is kept on this machine and is on
 its way to the server while the recorder is still writing. A dead network or a
 dead server never reaches the recorder, and what is safe already can be read
 from each file at any moment. Also holds the server.
CONTROL
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root/DEBIAN/md5sums" "$root/DEBIAN/control" "$root/DEBIAN/conffiles"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
package=$build/reelfs_${version}_$arch.deb
fakeroot dpkg-deb --root-owner-group -Zxz -z4 --build "$root" "$package"
printf '%s\n' "$package"
