#!/bin/bash
# thick.sh DIR CHROOT-EXEC COMMAND ARGUMENT...: runs COMMAND as a delegate of a thick Multus, in a root of its own with the
# machine's root at /hostroot, chrooted there without chdir. DIR: an empty directory; CHROOT-EXEC: static.
set -euo pipefail
[ "${INSIDE:-}" ] || exec env INSIDE=1 unshare -m "$0" "$@"
unset INSIDE
dir=$1 tool=$2
shift 2
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/hostroot" "$dir/old"
cp "$tool" "$dir/chroot-exec"
mount --rbind / "$dir/hostroot"
cd "$dir"
pivot_root . old
cd /
exec /chroot-exec /hostroot "$@"
