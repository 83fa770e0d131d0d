#!/bin/bash
# build.sh OUT [ARCH...]: the shim as static executables, OUT/railnet-shim for this machine and OUT/railnet-shim-ARCH for
# each ARCH (default: x86_64 aarch64). Another machine's needs Debian's gcc-aarch64-linux-gnu (gcc-x86-64-linux-gnu).
# CFLAGS are added: tests give their own paths that way.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh OUT [ARCH...]}
shift
[ $# -gt 0 ] || set -- x86_64 aarch64
# shellcheck disable=SC2054 # the commas are the linker's
flags=(-std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Wconversion -Werror
  -fstack-protector-strong -ffunction-sections -Wl,--gc-sections -static -s)
mkdir -p "$out"
for arch in "$@"; do
  compiler=gcc
  [ "$arch" = "$(uname -m)" ] || compiler=$arch-linux-gnu-gcc
  command -v "$compiler" > /dev/null || { echo "build.sh: $compiler is missing" >&2; exit 1; }
  # shellcheck disable=SC2086
  "$compiler" "${flags[@]}" ${CFLAGS:-} -o "$out/.railnet-shim-$arch" "$here"/*.c
  mv "$out/.railnet-shim-$arch" "$out/railnet-shim-$arch"
  [ "$arch" != "$(uname -m)" ] || ln -f "$out/railnet-shim-$arch" "$out/railnet-shim"
done
