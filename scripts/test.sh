#!/usr/bin/env bash
# Everything: set-up, build, `ok`, then the tests that need root. Ends with "N passed, N failed, N skipped".
# Most of it waits more than it computes, so two parts run at a time; what the second one says comes when it is done.
set -uo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh test || exit 1

# They say within how many seconds something happens, or ask for all that the machine has: nothing runs beside them.
alone=(test/e2e/{bad-input,etcd-lab,federation,heal,policy,restart,scale,segment-moves,segment-routed,segment-switched}.test.ts)

notes=$(mktemp -d); trap 'kill -- "-$second" 2>/dev/null; rm -rf "$notes"' EXIT
export ISTHMUS_TEST_TOTALS=$notes/totals
mocha=(npx --no-install mocha --exit --reporter test/lib/reporter.ts)
failed=0 second=none
step() { "$@" || failed=1; }
hygiene() { node --import tsx test/lib/hygiene.ts "$1"; }
beside() { # mocha's arguments; a session of its own, so that all of it can be ended
  setsid "${mocha[@]}" "$@" >"$notes/second" 2>&1 & second=$!
}
join() { step wait "$second"; second=none; cat "$notes/second"; }

touch "$ISTHMUS_TEST_TOTALS"
step npm run --silent build
if [ "$(id -u)" = 0 ]; then
  step hygiene before
  # The longest first, which is an emulator beside `ok`.
  beside 'test/qemu/**/*.test.ts' 'test/etcd/**/*.test.ts' 'test/netns/**/*.test.ts'
fi
step npm run --silent ok
if [ "$(id -u)" = 0 ]; then
  step "${mocha[@]}" 'test/e2e/**/*.test.ts' "${alone[@]/#/--ignore=}"
  join
  step "${mocha[@]}" "${alone[@]}"
  step hygiene after
else
  echo "test: etcd, netns, e2e and qemu are run as root; they were not run" >&2
  failed=1
fi
node scripts/totals.mjs "$ISTHMUS_TEST_TOTALS" "$failed"
