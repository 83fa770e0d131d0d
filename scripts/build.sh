#!/bin/bash
# Builds the executables into dist/: railnet (all TypeScript, one binary) with its plugin names as hard links, and the shim.
# With --test also dist/test/: the same with fault injection. With --arm64 also dist/arm64/.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

# --splitting: what a CNI call does not need is not loaded. --cwd=/: thick Multus runs plugins without a working directory.
# The autoload flags keep a host's /.env out. What is compiled in is said in OUT.meta.json, from which a release's SBOM is made.
compile() { # compile OUT [bun flag...]
  local out=$1; shift; mkdir -p "$(dirname "$out")"
  bun build --compile --bytecode --minify --splitting --format=esm --no-compile-autoload-dotenv --no-compile-autoload-bunfig \
    --compile-exec-argv="--cwd=/" "$@" --metafile="$out.meta.json" --outfile "$out.new" ./main.ts ./daemonset/kernel-worker.ts ./daemonset/routes/worker.ts > /dev/null
  mv "$out.new" "$out"
  for name in railnet-sriov railnet-ipam; do ln -f "$out" "$(dirname "$out")/$name"; done
}

# Bun's own arm64 executable, of the same version as ours: what an arm64 railnet is made from.
arm64_runtime() {
  local version dir; version=$(bun --version); dir=.cache/bun-arm64-$version
  if [ ! -x "$dir/package/bin/bun" ]; then
    mkdir -p "$dir"; npm pack --silent --pack-destination "$dir" "@oven/bun-linux-aarch64@$version" > /dev/null
    tar -xzf "$dir"/*.tgz -C "$dir" package/bin/bun; rm -f "$dir"/*.tgz
  fi
  echo "$dir/package/bin/bun"
}

compile dist/railnet --define FAULT_INJECTION=false
bash cni/shim/build.sh dist > /dev/null
for flag in "$@"; do case $flag in
  --test) compile dist/test/railnet --define FAULT_INJECTION=true;;
  --arm64) compile dist/arm64/railnet --define FAULT_INJECTION=false --target=bun-linux-arm64 --compile-executable-path="$(arm64_runtime)";;
  *) echo "build: unknown flag $flag; want --test or --arm64" >&2; exit 2;;
esac; done
