#!/usr/bin/env bash
# All peer tests with the program that REELFS names. The last line sums up all of them.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")"

python=../../.build/peers/bin/python
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Foreign tus clients against our receiver take a minute of mostly waiting: beside the rest.
$python tus_receiver.py >"$logs/tus_receiver" 2>&1 &
$python destinations.py 2>&1 | tee "$logs/destinations"
$python s3_client.py 2>&1 | tee "$logs/s3_client"
$python s3_peers.py >"$logs/s3_peers" 2>&1
wait
cat "$logs/tus_receiver" "$logs/s3_peers"

passed=0 failed=0
for name in tus_receiver destinations s3_client s3_peers; do
  # A script that broke off has no closing line.
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/$name" | tail -n 1) || line='0 passed, 1 failed'
  printf '%s: %s\n' "$name" "$line"
  passed=$((passed + ${line%% *}))
  line=${line#*, }
  failed=$((failed + ${line%% *}))
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
