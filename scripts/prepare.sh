#!/usr/bin/env bash
# Makes a fresh clone runnable: installs the npm packages once and compiles the sources. Of what the
# programs print nothing is shown unless one of them fails; then all of it is.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

quietly() {
  local status=0
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" -eq 0 ] || { printf '%s\n' "failed: $*" >&2; cat "$log" >&2; exit "$status"; }
}

if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo 'Installing the npm packages, which is done once.' >&2
  quietly npm ci --no-fund --no-audit --loglevel=error
fi
quietly npx --no-install tsc -p tsconfig.build.json
quietly npx --no-install rolldown -c rolldown.config.ts
quietly node scripts/make-manual.mjs
chmod +x dist/bin/ecsync.js
