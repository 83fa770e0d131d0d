#!/bin/bash
# Measures side by side with the Go tools: bench.sh [attach|ipam] [argument...]; default attach.
# attach: ADD and DEL beside the Go plugins and the kernel's floor; ipam: addresses beside Whereabouts. See bench/*/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
what=attach
case ${1:-} in attach | ipam) what=$1; shift ;; esac
case $what in attach) scripts/setup.sh npm debian vm peers:cniplugins ;; ipam) scripts/setup.sh npm debian peers:etcd,kubernetes,whereabouts ;; esac
echo "[railnet] building the executables …" >&2
bash scripts/build.sh
exec node_modules/.bin/node "bench/$what/run.ts" "$@"
