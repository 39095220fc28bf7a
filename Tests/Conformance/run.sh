#!/usr/bin/env bash
# The rules, the random operations and other people's programs, one after the other; all of them, also when one has failed.
# Root does all of it once more as an ordinary user, whose mount is another one: the helper mounts it, and modes count for
# reelfs itself. The variables are described at the top of each.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
user=65534
code=0
for part in conformance random_test programs; do
  printf -- '--- %s\n' "$part"
  python3 "$here/$part.py" || code=1
done

if [ "$(id -u)" = 0 ] && ! grep -q '^NoNewPrivs:.*0' /proc/self/status; then
  printf 'not as an ordinary user: here fusermount3 gets no privileges (PR_SET_NO_NEW_PRIVS)\n'
elif [ "$(id -u)" = 0 ]; then
  printf -- '--- as user %s\n' "$user"
  # The checkout may lie where only root gets; /var/tmp lies on a disk.
  base=$(mktemp -d /var/tmp/reelfs-conformance-XXXXXX)
  mkdir -p "$base/Tests" "$base/docs"
  cp -r "$here" "$base/Tests/Conformance"
  cp "$here/../../docs/SEMANTICS.md" "$base/docs"
  cp "${REELFS:-.build/release/reelfs}" "$base/reelfs"
  chown -R "$user:$user" "$base"
  (cd "$base" && HOME=$base REELFS=$base/reelfs CONFORMANCE_DIR=$base/work \
    setpriv --reuid "$user" --regid "$user" --clear-groups Tests/Conformance/run.sh) || code=1
  [ "$code" -ne 0 ] || rm -rf "$base"
fi
exit "$code"
