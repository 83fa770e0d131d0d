#!/bin/bash
# The gate before a commit, in seconds and without root: types, lint, format, import rules, pure tests.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm
export PATH="$PWD/node_modules/.bin:$PATH"
tsc -p .
biome check .
mapfile -t pure < <(find test/cni/*.test.ts test/{kernel,records,kubernetes,cli} test/cni/protocol test/daemonset test/docs test/ipam test/imports.test.ts -name '*.test.ts' | grep -v /live-)
exec node test/run.ts "${pure[@]}"
