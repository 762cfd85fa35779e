#!/usr/bin/env bash
# Everything: set-up, build, `ok`, then the tests that need root. Ends with "N passed, N failed, N skipped".
# Most of it waits more than it computes, so several parts run at a time; what the others say comes when they are done.
set -uo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh test || exit 1

# They say within how many seconds something happens, or ask for all that the machine has: no more than two of them run at a time.
measured=(test/e2e/{bad-input,etcd-lab,federation,heal,policy,restart,scale}.test.ts)
measuredSegments=(test/e2e/segment-{moves,routed,switched}.test.ts)
# They wait for certificates and mappings to end.
slow=(test/e2e/{identity,nat}.test.ts)
apart=("${measured[@]}" "${measuredSegments[@]}" "${slow[@]}")

notes=$(mktemp -d); trap 'end; rm -rf "$notes"' EXIT
export ISTHMUS_TEST_TOTALS=$notes/totals
mocha=(npx --no-install mocha --exit --reporter test/lib/reporter.ts)
failed=0 others=()
step() { "$@" || failed=1; }
hygiene() { node --import tsx test/lib/hygiene.ts "$1"; }
beside() { # mocha's arguments; a session of its own, so that all of it can be ended
  setsid "${mocha[@]}" "$@" >"$notes/other${#others[@]}" 2>&1 & others+=($!)
}
join() {
  for at in "${!others[@]}"; do step wait "${others[at]}"; cat "$notes/other$at"; done
  others=()
}
end() { for other in "${others[@]}"; do kill -- "-$other" 2>/dev/null; done; }

touch "$ISTHMUS_TEST_TOTALS"
step npm run --silent build
if [ "$(id -u)" = 0 ]; then
  step hygiene before
  # The longest first, which is an emulator beside `ok`.
  beside 'test/qemu/**/*.test.ts' 'test/netns/**/*.test.ts'
  beside "${slow[@]}" 'test/etcd/**/*.test.ts'
fi
step npm run --silent ok
if [ "$(id -u)" = 0 ]; then
  step "${mocha[@]}" 'test/e2e/**/*.test.ts' "${apart[@]/#/--ignore=}"
  join
  beside "${measuredSegments[@]}"
  step "${mocha[@]}" "${measured[@]}"
  join
  step hygiene after
else
  echo "test: etcd, netns, e2e and qemu are run as root; they were not run" >&2
  failed=1
fi
node scripts/totals.mjs "$ISTHMUS_TEST_TOTALS" "$failed"
