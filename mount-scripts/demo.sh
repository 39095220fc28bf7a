#!/usr/bin/env bash
# What `make run` shows: mounts ./Recordings, records some seconds into it with ffmpeg, watches the recording's badge go
# from ⇪ to ✓, and leaves the mount running. REELFS names the program, SECONDS_TO_RECORD how long to record.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

reelfs=${REELFS:-.build/release/reelfs}
folder=./Recordings
mountpoint=$(pwd -P)/Recordings
home=./.reelfs
data=$home/uploaded_data
seconds=${SECONDS_TO_RECORD:-12}
# After the recorder's end: the settle time of a second, a last partial chunk, and room for a busy machine.
synced_within=60
recorder=

say() { printf '\n%s\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
attribute() { getfattr --absolute-names --only-values -n "user.sync.$2" "$1" 2>/dev/null; }

cleanup() { [ -z "$recorder" ] || kill "$recorder" 2>/dev/null || true; }
trap cleanup EXIT

is_mounted() { [ "$(findmnt -n -o FSTYPE --mountpoint "$mountpoint" 2>/dev/null | tail -n 1)" = fuse.reelfs ]; }

mount_folder() {
  [ -x "$reelfs" ] || fail "$reelfs is not there: run make build first"
  for tool in ffmpeg getfattr findmnt; do
    command -v "$tool" >/dev/null || fail "$tool is missing: run make setup"
  done
  if is_mounted && [ -r "$folder/.status/summary" ]; then
    say "$folder is mounted already; recording into it."
    show_page
    return
  fi
  # A folder that a dead mount lies on cannot be asked about; reelfs detaches it.
  mkdir -p "$home" 2>/dev/null && [ -w "$home" ] || fail "$home is not writable by $(id -un): was it made by another user?"
  mkdir -p "$folder" 2>/dev/null || is_mounted || fail "cannot make the folder $folder"
  # The mount is usable when the command returns.
  timeout 60 "$reelfs" mount --daemon --state-dir "$home/state" --recordings-data "$data" "$folder" ||
    fail "the mount did not come up; $reelfs doctor looks for the reason"
  is_mounted || fail "$reelfs mount returned, but nothing is mounted at $folder"
  say "$folder is mounted. Its receiver runs beside it and keeps its data in $data."
  show_page
}

# Also for a mount that was there already.
show_page() {
  local page
  page=$("$reelfs" web "$folder" 2>/dev/null) || return 0
  echo "Watch it in the browser: $page"
}

record() {
  recording=$folder/demo-$(date +%Y%m%d-%H%M%S).mkv
  say "Recording $seconds seconds of a test picture with ffmpeg: $recording"
  # -re: as fast as a camera would deliver it. The noise makes it worth several chunks.
  ffmpeg -nostdin -loglevel error -re \
    -f lavfi -i "testsrc2=size=640x360:rate=25,noise=alls=40:allf=t" -f lavfi -i "sine=frequency=440" \
    -t "$seconds" -c:v libx264 -preset ultrafast -b:v 8M -maxrate 8M -bufsize 8M -pix_fmt yuv420p -c:a aac "$recording" &
  recorder=$!
}

# Prints the badge each time it has changed, until the recording is synced.
watch_recording() {
  local badge shown='' has_shown_table='' ends=$((SECONDS + seconds + synced_within))
  while true; do
    [ "$SECONDS" -lt "$ends" ] || fail "$recording was not synced in time: $(cat "$folder/.status/summary")"
    if [ -n "$recorder" ] && ! kill -0 "$recorder" 2>/dev/null; then
      wait "$recorder" || fail "ffmpeg failed; its message is above"
      recorder=
      echo "  the recorder has closed the file"
    fi
    badge=$(attribute "$recording" badge) || badge=''
    if [ -n "$badge" ] && [ "$badge" != "$shown" ]; then
      shown=$badge
      echo "  $badge   $(attribute "$recording" bytes_synced) of $(attribute "$recording" bytes_written) bytes are stored"
    fi
    case $badge in
      "❌"*) fail "$recording failed: $(attribute "$recording" error)" ;;
      "✓"*) [ -n "$recorder" ] || return 0 ;;
      "⇪"*)
        if [ -z "$has_shown_table" ] && [ -n "$recorder" ] && [ "$(attribute "$recording" chunks_synced || echo 0)" -gt 1 ]; then
          has_shown_table=1
          echo "  $reelfs status $folder, while ffmpeg is still writing:"
          show_status
        fi
        ;;
    esac
    # Between two looks.
    sleep 0.25
  done
}

show_status() {
  local code=0
  "$reelfs" status "$folder" | sed 's/^/    /' || code=$?
  # 3: something is pending, 4: something failed or is paused; both are answers.
  [ "$code" = 0 ] || [ "$code" = 3 ] || [ "$code" = 4 ] || fail "$reelfs status ended with $code"
}

show_copy() {
  local session copy
  session=$(attribute "$recording" session)
  copy=$data/$session/$(basename "$recording")
  if [ ! -f "$copy" ]; then
    say "Uploaded to $(attribute "$recording" destination) as $session."
    return
  fi
  cmp -s "$recording" "$copy" || fail "$copy differs from $recording"
  say "The uploaded copy, byte by byte the same: $copy"
  echo "By name it is below $data/recordings/."
}

show_hints() {
  local page
  page=$("$reelfs" web "$folder" 2>/dev/null) || page=''
  cat <<TEXT

$folder stays mounted. What to try next:
  1. Open its page, and record or copy anything into $folder:   ${page:-$reelfs web $folder}
     The same in a terminal:   $reelfs status $folder --watch
  2. Ask a recording how safe it is:   getfattr -d $recording   or   cat $folder/.status/$(basename "$recording")
  3. End it once everything is stored:   $reelfs unmount --wait $folder
TEXT
}

mount_folder
record
watch_recording
show_copy
show_status
show_hints
