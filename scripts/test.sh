#!/usr/bin/env bash
# Everything: set-up, `ok`, build, then the tests that need root. Ends with "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh test || exit 1

totals=$(mktemp); trap 'rm -f "$totals"' EXIT
export ISTHMUS_TEST_TOTALS=$totals
failed=0
npm run --silent ok || failed=1
npm run --silent build || failed=1
if [ "$(id -u)" = 0 ]; then
  npx --no-install mocha --exit --reporter test/lib/reporter.ts --require ./test/lib/hygiene.ts \
    'test/etcd/**/*.test.ts' 'test/netns/**/*.test.ts' 'test/e2e/**/*.test.ts' 'test/qemu/**/*.test.ts' || failed=1
else
  echo "test: etcd, netns, e2e and qemu are run as root; they were not run" >&2
  failed=1
fi
node scripts/totals.mjs "$totals" "$failed"
