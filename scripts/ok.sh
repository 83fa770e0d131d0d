#!/bin/bash
# The gate before a commit, in seconds and without root: types, lint, format, import rules, pure tests.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm
export PATH="$PWD/node_modules/.bin:$PATH"
tsc -p .
biome check .
exec node test/run.ts test/cni/config test/cni/protocol test/daemonset test/imports
