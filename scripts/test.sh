#!/bin/bash
# All tests: installs what they need, builds, runs every tier, ends with "N passed, N failed".
# Arguments choose files by part of their name: scripts/test.sh kernel netns/
# --seed N repeats a run's random tests; --busy N keeps N busy loops beside the run; --limit SECONDS is for each file.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm debian vm peers
echo "[railnet] building the executables …" >&2
bash scripts/build.sh --test --arm64
exec node_modules/.bin/node test/run.ts "$@"
