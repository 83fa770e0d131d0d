#!/bin/bash
# The long tests: the seeded random walk on real VFs with 500 steps, and ten minutes of fuzzing the shim.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm debian vm peers
bash scripts/build.sh --test
bash test/cni/shim/fuzz/run.sh "${RAILNET_FUZZ_SECONDS:-600}"
RAILNET_WALK_STEPS=${RAILNET_WALK_STEPS:-500} exec node_modules/.bin/node test/run.ts test/vm/attach/walk
