#!/usr/bin/env bash
# Makes a fresh clone runnable: installs the npm packages once and compiles the sources.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -d node_modules ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-fund --no-audit --loglevel=error >/dev/null
fi
npx --no-install tsc -p tsconfig.build.json
npx --no-install rolldown -c rolldown.config.ts
node scripts/make-manual.mjs
chmod +x dist/bin/ecsync.js
