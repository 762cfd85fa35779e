#!/usr/bin/env bash
# The fast check, without root: format, lint, types, import rules, dead code, generated code, unit tests.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
notes=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$notes"' EXIT
check() { # name, command…
  local name=$1; shift
  local started=$SECONDS
  if "$@"; then echo "ok: $name ($((SECONDS - started)) s)"; else echo "ok: $name FAILED" >&2; echo "$name" >>"$notes/failed"; fi
}
generated() { # the committed code is what buf makes of the .proto files
  local fresh; fresh=$(mktemp -d)
  buf generate --output "$fresh" && diff -r "$fresh/api/gen" api/gen; local result=$?
  rm -rf "$fresh"; return $result
}
# It takes about as long as all the others, and one core as they do: so beside them, with its words at the end.
check "promises" eslint --cache --cache-location node_modules/.cache/eslint . >"$notes/promises" 2>&1 &
check "format and lint" biome check --error-on-warnings
check "types" tsc -p .
check "import rules" depcruise --config .dependency-cruiser.cjs --output-type err api core rpc identity kernel program registry nsmgr forwarder cli
check "dead code" knip
check "wire files" buf lint
check "generated code" generated
check "unit tests" c8 --reporter none --include 'core/**' --check-coverage --lines 95 \
  mocha --exit --reporter test/lib/reporter.ts 'test/unit/**/*.test.ts'
wait; cat "$notes/promises"
if [ -s "$notes/failed" ]; then echo "ok: failed: $(paste -sd, "$notes/failed")" >&2; exit 1; fi
