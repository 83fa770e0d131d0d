#!/bin/bash
# Builds the executables into dist/: railnet (all TypeScript, one binary) with its plugin names as hard links, and the shim.
# With --test also dist/test/: the same with fault injection. With --arm64 also dist/arm64/.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

# --splitting: what a CNI call does not need is not loaded. --cwd=/: thick Multus runs plugins without a working directory.
# The autoload flags keep a host's /.env out.
compile() { # compile OUT [bun flag...]
  local out=$1; shift; mkdir -p "$(dirname "$out")"
  bun build --compile --bytecode --minify --splitting --format=esm --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
    --compile-exec-argv="--cwd=/" "$@" --outfile "$out.new" ./main.ts ./daemonset/kernel-worker.ts > /dev/null
  mv "$out.new" "$out"; ln -f "$out" "$(dirname "$out")/railnet-sriov"
}

compile dist/railnet
bash cni/shim/build.sh dist > /dev/null
for flag in "$@"; do case $flag in
  --test) compile dist/test/railnet --define FAULT_INJECTION=true;;
  --arm64) compile dist/arm64/railnet --target=bun-linux-arm64;;
  *) echo "build: unknown flag $flag; want --test or --arm64" >&2; exit 2;;
esac; done
