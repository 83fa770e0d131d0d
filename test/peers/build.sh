#!/bin/bash
# Builds other projects' plugins from Go modules into OUT/bin: build.sh OUT GROUP...
# A group is one module, GROUP/{go.mod,go.sum,targets}, because one module for all would settle on the newest version that any
# of them names; a line of targets is "<binary> <package> [linker flags]". Versions are exact. What is built is not built again
# unless the group changed; Go's own caches are where Go keeps them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/bin" "$1/work"; out=$(cd "$1" && pwd); shift
export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local

for group in "$@"; do
  [ -e "$here/$group/targets" ] || { echo "cannot build $group: no $here/$group/targets" >&2; exit 1; }
  stamp=$out/work/$group.stamp hash=$(cat "$here/$group"/{go.mod,go.sum,targets} | sha256sum)
  while read -r binary package flags; do
    [ -n "$binary" ] || continue
    [ "$(cat "$stamp" 2> /dev/null)" != "$hash" ] || [ ! -x "$out/bin/$binary" ] || continue
    begin=$SECONDS
    (cd "$here/$group" && go build -trimpath -buildvcs=false -ldflags "-s -w $flags" -o "$out/work/$binary" "$package")
    mv "$out/work/$binary" "$out/bin/$binary"
    echo "$binary: $((SECONDS - begin)) s"
  done < "$here/$group/targets"
  echo "$hash" > "$stamp"
done
