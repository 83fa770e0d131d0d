#!/bin/bash
# Builds the agent's image, dist/railnet-image.tar, an OCI archive, from what scripts/build.sh made. The same executables
# make the same digest. With --arm64 for both architectures (needs scripts/build.sh --arm64).
#   ctr -n k8s.io images import dist/railnet-image.tar           onto a node by hand
#   skopeo copy --all oci-archive:dist/railnet-image.tar docker://REGISTRY/railnet:TAG
set -euo pipefail
cd "$(dirname "$0")/.."
architectures=(amd64)
for flag in "$@"; do case $flag in
  --arm64) architectures+=(arm64);;
  *) echo "image: unknown flag $flag; want --arm64" >&2; exit 2;;
esac; done
[ -x dist/railnet ] && [ -x dist/railnet-shim-x86_64 ] || { echo "image: no executables in dist/; run scripts/build.sh first" >&2; exit 1; }
out=dist/railnet-image.tar
node_modules/.bin/node scripts/image/build.ts dist "$out" "${architectures[@]}"
echo "$out  $(cat "$out.digest")  ${architectures[*]}  $(du -m "$out" | cut -f1) MB" >&2
