#!/bin/bash
# Makes all that a release is, in dist/release: the image of both architectures, manifests and chart that name it by digest,
# an SBOM, the library, release notes from CHANGELOG.md, checksums. The same commit on the same machine makes the same bytes.
#   npm run release [-- --repository REGISTRY/railnet]     where you will push the image; default railnet.io/railnet
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm
node=node_modules/.bin/node
$node scripts/release/notes.ts CHANGELOG.md > /dev/null # before the minutes that follow
scripts/setup.sh debian
echo "[railnet] building the executables of both architectures …" >&2
bash scripts/build.sh --arm64
exec $node scripts/release/release.ts "$@"
