#!/bin/bash
# The main job, seen: two pods get four VFs each on a machine with real SR-IOV, use them, and give them back.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm debian vm
echo "[railnet] building the executables …" >&2
bash scripts/build.sh
exec node_modules/.bin/node scripts/demo.ts
