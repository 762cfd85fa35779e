#!/usr/bin/env bash
# Sets up, builds, and shows two sites joined. Usage: npm run demo [-- --keep]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh demo
npm run --silent build
exec bash examples/two-sites/run.sh "$@"
