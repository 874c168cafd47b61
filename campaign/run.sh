#!/usr/bin/env bash
# npm run campaign -- [--minutes M] [--jobs N] [--seed S] [--part NAME]… [--point N] [--journal FILE]: see campaign/README.md
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install-test-tools.sh
bash campaign/install-tools.sh
bash scripts/prepare.sh
npx --no-install tsc -p campaign/tsconfig.json
exec node dist-campaign/campaign/run.js "$@"
