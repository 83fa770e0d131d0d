#!/bin/bash
# The gate before a commit, in seconds and without root: types, lint, format, import rules, pure tests.
#   npm run ok -- --watch   again whenever a file changes
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm
export PATH="$PWD/node_modules/.bin:$PATH"

# All but what needs root, a compiler, executables, a network namespace, a cluster or a machine.
mapfile -t pure < <(git ls-files -co --exclude-standard 'test/*.test.ts' \
  | grep -Ev '^test/(netns|vm|cluster|bench|mutate|simulation)/|/live-|^test/cni/shim/|^test/(executables|library|shell-scripts)\.test')

check() { tsc -p . && biome check . && node test/run.ts "${pure[@]}"; }
changed() { [ -n "$(git ls-files -cmo --exclude-standard -- '*.ts' '*.md' '*.json' '*.yaml' | xargs -d '\n' find 2> /dev/null -newer "$1" -print -quit)" ]; }

[ "${1:-}" = --watch ] || { check; exit; }
mark=$(mktemp); trap 'rm -f "$mark"' EXIT
while :; do
  touch "$mark"
  check || true
  printf '[railnet] waiting for a change …\n' >&2
  until changed "$mark"; do sleep 1; done
done
