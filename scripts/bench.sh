#!/usr/bin/env bash
# Measures, and writes test/bench/results/latest.json. `npm run bench -- --only NAME` runs one.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh bench
npm run --silent build
exec node --import=tsx test/bench/main.ts "$@"
