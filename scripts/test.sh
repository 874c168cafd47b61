#!/usr/bin/env bash
# All checks and all tests. The last line is "N passed, N failed[, N skipped]".
set -uo pipefail
cd "$(dirname "$0")/.."
bash scripts/install-test-tools.sh || exit 1
bash scripts/prepare.sh || exit 1
bash scripts/install-node-versions.sh # what is missing then fails as a test
bash scripts/install-windows-node.sh  # as well

passed=0
failed=0
gate() {
  local name=$1
  shift
  local log
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed=$((failed + 1))
    echo "FAILED  $name"
    cat "$log"
  fi
  rm -f "$log"
}
gate "formatting (prettier)" npx --no-install prettier --check .
gate "types (tsc)" npx --no-install tsc --noEmit
gate "lint (eslint)" npx --no-install eslint .
gate "architecture (dependency-cruiser)" npx --no-install depcruise --config .dependency-cruiser.cjs src

report=$(mktemp)
npx --no-install vitest run --reporter=default --reporter=json --outputFile.json="$report"
status=$?
read -r unit_passed unit_failed unit_skipped < <(node -e '
  const report = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
  const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.every((t) => t.status !== "failed")).length;
  console.log(report.numPassedTests, report.numFailedTests + broken, report.numPendingTests + report.numTodoTests);
' "$report" || echo "0 1 0")
echo "slowest files:"
node -e '
  const report = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf8"));
  const files = report.testResults.map(({ name, startTime, endTime }) => [Math.round((endTime - startTime) / 1000), name]);
  for (const [sec, name] of files.sort((a, b) => b[0] - a[0]).slice(0, 20)) console.log(`  ${sec} s  ${name.replace(`${process.cwd()}/`, "")}`);
' "$report" || true
rm -f "$report"
passed=$((passed + unit_passed))
failed=$((failed + unit_failed))
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
if [ "$unit_skipped" -gt 0 ]; then
  echo "$passed passed, $failed failed, $unit_skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
