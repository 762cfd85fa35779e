#!/usr/bin/env bash
# Builds a real SPIRE of the version that test/spire/go.mod pins, and runs the tests against it. Not part of `npm test`: the first build
# takes minutes, because SPIRE brings the clients of all big clouds along. It is kept outside the checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh spire

bin=${XDG_CACHE_HOME:-/var/cache}/isthmus/spire/bin
digest=$(sha256sum test/spire/go.sum | cut -d' ' -f1)
if [ "$(cat "$bin/.built-from" 2>/dev/null || true)" != "$digest" ]; then
  echo "spire: building spire-server and spire-agent; minutes, this once"
  mkdir -p "$bin"
  GOBIN=$bin go -C test/spire install -mod=readonly github.com/spiffe/spire/cmd/spire-server github.com/spiffe/spire/cmd/spire-agent
  echo "$digest" > "$bin/.built-from"
fi
npm run --silent build
hygiene() { node --import tsx test/lib/hygiene.ts "$1"; }
hygiene before
failed=0
npx --no-install mocha --exit 'test/spire/**/*.test.ts' || failed=1
hygiene after
exit "$failed"
