#!/usr/bin/env bash
# The fast check, without root: format, lint, types, import rules, dead code, generated code, unit tests.
set -uo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
failed=()
check() { # name, command…
  local name=$1; shift
  local started=$SECONDS
  if "$@"; then echo "ok: $name ($((SECONDS - started)) s)"; else echo "ok: $name FAILED" >&2; failed+=("$name"); fi
}
generated() { # the committed code is what buf makes of the .proto files
  local fresh; fresh=$(mktemp -d)
  buf generate --output "$fresh" && diff -r "$fresh/api/gen" api/gen; local result=$?
  rm -rf "$fresh"; return $result
}
check "format and lint" biome check --error-on-warnings
check "promises" eslint --cache --cache-location node_modules/.cache/eslint .
check "types" tsc -p .
check "import rules" depcruise --config .dependency-cruiser.cjs --output-type err api core rpc identity kernel program registry nsmgr forwarder cli
check "dead code" knip
check "wire files" buf lint
check "generated code" generated
check "unit tests" c8 --reporter none --include 'core/**' --check-coverage --lines 95 \
  mocha --exit --reporter test/lib/reporter.ts 'test/unit/**/*.test.ts'
if [ "${#failed[@]}" -gt 0 ]; then echo "ok: failed: ${failed[*]}" >&2; exit 1; fi
