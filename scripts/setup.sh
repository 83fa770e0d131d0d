#!/bin/bash
# Installs what Railnet's build, tests and demo need, each thing once; a second run only looks (well under a second).
#   scripts/setup.sh [npm] [debian] [vm] [peers[:GROUP,...]]     default: all four
# npm     node_modules as package-lock.json says, tap without its TypeScript plugin
# debian  Debian packages: QEMU (from backports), compilers, ip, RDMA tools
# vm      kernel and initramfs of the test machines, in .cache/vm (implies debian)
# peers   the plugins to compare with, built from Go modules, in .cache/peers/bin; a GROUP is a folder of lab/peers, GROUP/BINARY one of it
# Can also be sourced for its functions. Touches only the project's folder, its .cache, Debian packages and,
# where bookworm-backports is not among the apt sources, one file in /etc/apt/sources.list.d.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$project/.cache
log=$cache/setup.log

# One line a package; the test machines see the host's root, so what a guest runs is installed here too.
packages=(
  busybox-static cpio kmod xz-utils                             # initramfs
  gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross     # shim (both architectures), guest agent
  binutils clang-14 libclang-rt-14-dev                          # what the shim's tests look at and fuzz it with
  iproute2 ethtool iputils-ping procps util-linux python3 curl openssl  # namespaces and links, independent readers, certificates
  rdma-core ibverbs-utils ibverbs-providers perftest iperf3     # RDMA, and what measures TCP where there is none; of the image of perftest
  runc                                                          # what the test cluster's containerd starts pods with
  udev systemd                                                  # what manifests/host is written for
  shellcheck                                                    # reads the shell scripts
  chromium                                                      # opens the page of `bench rdma`
)
# QEMU >= 8 has igb, the SR-IOV NIC; bookworm itself has 7.2. qemu-user-static runs the arm64 executables.
backports=(qemu-system-x86 seabios ipxe-qemu qemu-user-static)

say() { printf '[railnet] %s\n' "$*" >&2; }
die() { printf '[railnet] %s\n' "$*" >&2; exit 1; }

# quietly COMMAND...: output goes to the log; if it fails, the end of the output is shown.
quietly() {
  local begin; begin=$(stat -c %s "$log" 2>/dev/null || echo 0)
  "$@" >> "$log" 2>&1 && return
  tail -c "+$((begin + 1))" "$log" | tail -n 15 >&2
  die "cannot run '$1 ${2:-}': see above and $log"
}

# once NAME INPUT... -- COMMAND...: runs COMMAND unless it succeeded before with inputs of the same content.
once() {
  local stamp=$cache/stamp.$1 inputs=() hash; shift
  while [ "$1" != -- ]; do inputs+=("$1"); shift; done; shift
  hash=$(cat "${inputs[@]}" | sha256sum)
  [ "$(cat "$stamp" 2>/dev/null)" != "$hash" ] || return 0
  "$@"
  printf '%s\n' "$hash" > "$stamp"
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

has_igb() { dpkg --compare-versions "$(dpkg-query -W -f '${Version}' qemu-system-x86 2>/dev/null)" ge 1:8 2>/dev/null; }

apt() { DEBIAN_FRONTEND=noninteractive quietly apt-get -o DPkg::Lock::Timeout=300 -q "$@"; }

# The mirror that this machine's sources use for bookworm.
mirror() {
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null \
    | awk '$1 == "bookworm" && $2 == "main" && !uri { uri = $3 } END { print uri ? uri : "http://deb.debian.org/debian" }'
}

add_backports() {
  ! apt-get indextargets --format '$(RELEASE)' 'Created-By: Packages' 2>/dev/null | grep -qx bookworm-backports || return 0
  say "adding bookworm-backports to the apt sources (/etc/apt/sources.list.d/railnet-backports.sources)"
  printf 'Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$(mirror)" > /etc/apt/sources.list.d/railnet-backports.sources
}

setup_debian() {
  local missing=() p qemu=()
  for p in "${packages[@]}"; do installed "$p" || missing+=("$p"); done
  has_igb && installed qemu-user-static || qemu=("${backports[@]}")
  [ $((${#missing[@]} + ${#qemu[@]})) -gt 0 ] || return 0
  # shellcheck disable=SC1091
  [ "$(. /etc/os-release 2>/dev/null; echo "${ID:-}${VERSION_ID:-}")" = debian12 ] \
    || die "cannot install packages: this is not Debian 12; install by hand: ${missing[*]} ${qemu[*]:+QEMU >= 8 (qemu-system-x86_64)}"
  [ "$(id -u)" = 0 ] || die "cannot install packages: not root; run as root: apt-get install ${missing[*]} ${qemu[*]:+&& apt-get install -t bookworm-backports ${qemu[*]}}"
  [ ${#qemu[@]} = 0 ] || add_backports
  say "reading Debian's package lists …"; apt update
  [ ${#missing[@]} = 0 ] || { say "installing ${missing[*]} …"; apt install -y --no-install-recommends "${missing[@]}"; }
  [ ${#qemu[@]} = 0 ] || { say "installing QEMU (Debian backports) …"; apt install -y --no-install-recommends -t bookworm-backports "${qemu[@]}"; }
}

# Whether node_modules holds what the lock file says; npm keeps its own record of what it installed.
node_modules_fresh() {
  node -e '
    const [want, have] = process.argv.slice(1).map((f) => JSON.parse(require("fs").readFileSync(f)).packages);
    const stale = Object.keys(want).filter((p) => p && (have[p] ? have[p].version !== want[p].version : !want[p].optional && !want[p].peer));
    process.exit(stale.length ? 1 : 0)' "$project/package-lock.json" "$project/node_modules/.package-lock.json" 2>/dev/null
}

# Not `npm ci`: that refuses a lock file without the optional packages of other platforms, which some registries do not serve.
npm_install() {
  node_modules_fresh || {
    say "installing npm packages …"
    (cd "$project" && quietly npm install --no-save --no-progress --fetch-retries=2 --fetch-retry-maxtimeout=10000)
  }
  say "building tap with the plugins of .taprc …"
  (cd "$project" && quietly node_modules/.bin/node node_modules/.bin/tap build)
}

setup_npm() {
  command -v npm > /dev/null || die "cannot install npm packages: no npm in PATH; install Node.js 20 or newer"
  [ -e "$project/node_modules/.package-lock.json" ] || rm -f "$cache/stamp.npm"
  once npm "$project/package-lock.json" "$project/.taprc" -- npm_install
}

setup_vm() {
  [ "$(uname -m)" = x86_64 ] || die "cannot make the test machines: they are x86-64, this host is $(uname -m)"
  setup_debian
  [ -e "$cache/vm/initramfs.gz" ] || rm -f "$cache/stamp.vm"
  once vm "$project"/lab/vm/{prepare.sh,guest-init.sh,guest-hot-programs,channel.c} -- make_vm
}

make_vm() {
  [ -e "$cache/vm/vmlinuz" ] && say "making the test machines' initramfs …" || say "fetching the test machines' kernel (Debian backports, 110 MB) …"
  quietly "$project/lab/vm/prepare.sh" "$cache/vm" "$(mirror)"
}

setup_peers() { # [GROUP[/BINARY]...]: default what npm test needs of lab/peers
  local group
  [ $# -gt 0 ] || set -- cniplugins cnitool rdmacni etcd whereabouts multus multus-oldest crictl promlint promrules helm containerd kubernetes-1.37
  [ -e "$cache/peers/bin" ] || rm -f "$cache"/stamp.peers.*
  for group in "$@"; do
    once "peers.${group/\//.}" "$project"/lab/peers/{build.sh,"${group%%/*}"/*} -- make_peer "$group"
  done
}

make_peer() {
  command -v go > /dev/null || die "cannot build the peer plugins: no go in PATH; install Go 1.26.6 or newer (https://go.dev/dl)"
  say "building $1 (Go modules) …"
  quietly "$project/lab/peers/build.sh" "$cache/peers" "$1"
}

setup() {
  [ $# -gt 0 ] || set -- npm debian vm peers
  mkdir -p "$cache"
  exec 9> "$cache/setup.lock"; flock -n 9 || { say "waiting for another setup …"; flock 9; }
  local step groups
  for step in "$@"; do
    case $step in
      npm | debian | vm | peers) "setup_$step" 9>&- ;;
      peers:*) IFS=, read -ra groups <<< "${step#peers:}"; setup_peers "${groups[@]}" 9>&- ;;
      *) die "cannot set up '$step': not one of npm, debian, vm, peers" ;;
    esac
  done
}

[ "${BASH_SOURCE[0]}" != "$0" ] || setup "$@"
