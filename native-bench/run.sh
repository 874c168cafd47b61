#!/usr/bin/env bash
# npm run bench -- [--quick] [--rounds N] [--work DIR] [--only WORDS] [--others] [--huge] [--primitives]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install-test-tools.sh
bash scripts/prepare.sh
npx --no-install tsc -p native-bench/tsconfig.json
exec node dist-bench/native-bench/run.js "$@"
