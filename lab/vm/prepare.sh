#!/bin/bash
# Makes what the test machines boot: OUT/vmlinuz, OUT/initramfs.gz, OUT/kernel/lib/modules.  prepare.sh OUT [DEBIAN-MIRROR]
# The kernel is Debian's newest from trixie-backports (>= 7: earlier rdma_rxe does not work inside network namespaces),
# downloaded and unpacked, not installed; apt's own lists are left alone. Needs the packages of `scripts/setup.sh debian`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) mirror=${2:-http://deb.debian.org/debian}
mkdir -p "$1"; out=$(cd "$1" && pwd)

fetch_kernel() {
  local state=$out/apt options p
  rm -rf "$state" "$out/kernel"; mkdir -p "$state"/{lists,cache}/partial "$out/kernel/lib"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie-backports main" > "$state/list"
  options=(-o "Dir::Etc::SourceList=$state/list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$state/lists"
    -o "Dir::Cache::Archives=$state/cache" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
  apt-get "${options[@]}" -q update
  version=$(apt-cache "${options[@]}" pkgnames linux-image- | sed -nE 's/^linux-image-(([7-9]|[1-9][0-9])\.[0-9.]+\+deb13-amd64)$/\1/p' | sort -V | tail -1)
  [ -n "$version" ] || { echo "cannot find a kernel >= 7 in trixie-backports" >&2; exit 1; }
  for p in "linux-image-$version" "linux-base-$version" "linux-binary-$version" "linux-modules-$version"; do
    ! apt-cache "${options[@]}" show "$p" > /dev/null 2>&1 || (cd "$state" && apt-get "${options[@]}" -q download "$p")
  done
  for p in "$state"/*.deb; do dpkg -x "$p" "$out/kernel"; done
  [ -e "$out/kernel/lib/modules" ] || ln -s ../usr/lib/modules "$out/kernel/lib/modules"
  cp "$(find "$out/kernel" -name 'vmlinuz*' | head -1)" "$out/vmlinuz"
  depmod -b "$out/kernel" "$version"
  rm -rf "$state"; echo "$version" > "$out/version"
}

# copy_modules DIRECTORY LIST MODULE...: the modules and what they need; DIRECTORY/LIST has the loading order.
copy_modules() {
  local directory=$1 list=$2 name path; shift 2
  for name in "$@"; do modprobe -S "$version" -d "$out/kernel" --show-depends "$name" | awk '/^insmod/{ print $2 }'; done \
    | awk '!seen[$0]++' | while read -r path; do
      name=$(basename "$path" .xz); [ ! -e "$directory/$name" ] || continue
      case $path in *.xz) xz -dc "$path" ;; *) cat "$path" ;; esac > "$directory/$name"; echo "$name"
    done > "$directory/$list"
}

# The file and, for a symbolic link, what it leads to: paths relative to / without links in their directories.
with_target() {
  local path=$1 target
  while path=$(realpath "$(dirname "$path")")/$(basename "$path"); echo "${path#/}"; [ -L "$path" ]; do
    target=$(readlink "$path"); case $target in /*) path=$target ;; *) path=$(dirname "$path")/$target ;; esac
  done
}

# The programs of guest-hot-programs, the libraries they load and what they look up.
hot_files() {
  local name path
  for name in $(cat "$here/guest-hot-programs"); do
    path=$(command -v "/usr/sbin/$name" "/usr/bin/$name" | head -1); [ -n "$path" ] || continue
    { echo "$path"; ldd "$path" 2> /dev/null | grep -o '/[^ ]*' || true; } | while read -r path; do with_target "$path"; done
  done | sort -u
  (cd / && ls etc/ld.so.cache etc/passwd etc/group etc/nsswitch.conf etc/iproute2/*)
}

[ -e "$out/version" ] || fetch_kernel
version=$(cat "$out/version")
root=$(mktemp -d "$out/initramfs.XXXX"); trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,proc,sys,dev,mods,host,rw,root}
cp /bin/busybox "$root/bin/"; cp "$here/guest-init.sh" "$root/init"; chmod +x "$root/init"
gcc -O2 -Wall -Wextra -static -o "$root/channel" "$here/channel.c"
copy_modules "$root/mods" first virtio_pci 9pnet_virtio 9p overlay virtio_console
copy_modules "$root/mods" nics virtio_net igb igbvf
echo async_probe=1 > "$root/mods/igb.ko.arguments"
hot_files > "$root/hot"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) > "$out/initramfs.gz.new"
mv "$out/initramfs.gz.new" "$out/initramfs.gz"
echo "ready: $out (kernel $version)"
