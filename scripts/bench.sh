#!/bin/bash
# Measures ADD and DEL beside the Go plugins and the kernel's floor; see bench/attach/README.md for the arguments.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm debian vm peers
echo "[railnet] building the executables …" >&2
bash scripts/build.sh
exec node_modules/.bin/node bench/attach/run.ts "$@"
