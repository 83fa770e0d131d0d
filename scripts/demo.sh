#!/bin/bash
# The main job, seen: two nodes' pods get four VFs each on machines with real SR-IOV, their addresses from one place, use them, and give them back.
# Argument: `directory` or `cluster`; default: `cluster` where an API server has been built (npm test builds one).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm debian vm
echo "[railnet] building the executables …" >&2
bash scripts/build.sh
exec node_modules/.bin/node scripts/demo.ts "$@"
