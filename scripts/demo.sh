#!/usr/bin/env bash
# The main job on real input, with nothing but Node: this project's own files and a 16 MiB file
# become a vault, are pushed into a local folder, and one changed byte is sent as a small delta.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/prepare.sh
ecsync="$PWD/dist/bin/ecsync.js"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source="$work/documents"
copy="$work/copy"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
run() {
  printf '$ ecsync'
  printf ' %s' "$@" | sed "s|$work/||g"
  printf '\n'
  node "$ecsync" "$@"
}

mkdir "$source"
cp -R src "$source/project"
cp ./*.md "$source"
head -c 16777216 /dev/urandom >"$source/holiday film.mp4"
ln -s "holiday film.mp4" "$source/latest film"
printf 'correct horse battery staple\n' >"$work/passfile"
chmod 600 "$work/passfile"

say "1. Make the folder a vault"
run init "$source" --passfile "$work/passfile"

say "2. Push it: what is sent, in plaintext names"
run push -C "$source" -i --stats --passfile "$work/passfile" "$copy" 2>&1 | tail -n 24

say "3. What the destination holds"
(cd "$copy" && find . -maxdepth 1 | sort | head -n 8)

say "4. Change one byte of the film and push again: a small delta"
node -e '
  const fs = require("node:fs");
  const file = fs.openSync(process.argv[1], "r+");
  const byte = Buffer.alloc(1);
  fs.readSync(file, byte, 0, 1, 9_000_000);
  byte[0] ^= 255;
  fs.writeSync(file, byte, 0, 1, 9_000_000);
' "$source/holiday film.mp4"
run push -C "$source" -i --stats --passfile "$work/passfile" "$copy" 2>&1

say "5. Nothing changed: nothing is sent, nothing is said"
run push -C "$source" --passfile "$work/passfile" "$copy"
echo "exit code $?"
if command -v gocryptfs >/dev/null 2>&1; then
  say "6. Stock gocryptfs agrees"
  gocryptfs -fsck -nosyslog -q -passfile "$work/passfile" "$copy" 2>/dev/null && echo "gocryptfs -fsck: no problems found"
fi
