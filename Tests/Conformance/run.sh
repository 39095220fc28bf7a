#!/usr/bin/env bash
# The rules, the random operations and other people's programs, one after the other; all of them, also when one has failed.
# The variables are described at the top of each.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
code=0
for part in conformance random_test programs; do
  printf -- '--- %s\n' "$part"
  python3 "$here/$part.py" || code=1
done
exit "$code"
