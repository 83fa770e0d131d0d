#!/bin/bash
# PID 1 of a node: node-init.sh FOLDER NAME DIRECTORY... Runs in new mount, PID, network, UTS, IPC and cgroup namespaces.
# The node's root is the machine's below a layer that lives in memory: what is written goes there and ends with the node.
# /run and /var/lib start empty; /tmp and each DIRECTORY are the machine's own. FOLDER/ready appears when all is done.
set -euo pipefail
folder=$1 name=$2; shift 2

mount --make-rprivate /
mkdir -p "$folder/layer"; mount -t tmpfs -o mode=755 tmpfs "$folder/layer"
mkdir "$folder"/layer/{upper,work,root}
root=$folder/layer/root
mount -t overlay -o "lowerdir=/,upperdir=$folder/layer/upper,workdir=$folder/layer/work" overlay "$root"
for directory in /dev /tmp "$@"; do mkdir -p "$root$directory"; mount --rbind "$directory" "$root$directory"; done
for directory in /run /var/lib/{containerd,kubelet,cni}; do
  mkdir -p "$root$directory"; mount -t tmpfs -o mode=755 tmpfs "$root$directory"
done
mount -t proc proc "$root/proc"

# The kubelet sets these for the whole machine; it gets to see files that have its values already.
while read -r key value; do
  [ -e "/proc/sys/$key" ] || continue
  file=$root/run/sysctl/${key//\//.}; mkdir -p "${file%/*}"; echo "$value" > "$file"; mount --bind "$file" "$root/proc/sys/$key"
done <<'SYSCTLS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SYSCTLS

# /sys is a folder of the kernel's own parts, so that PCI functions which this machine does not have can be put beside
# them: bus/pci, class/net and devices/pci0000:a0 are the test's.
sys=$root/sys real=$root/run/sysfs
mkdir -p "$real"; mount -t sysfs sysfs "$real"; mount -t tmpfs -o mode=755 tmpfs "$sys"
show() { [ -L "$real/$1" ] && cp -P "$real/$1" "$sys/$1" || { mkdir -p "$sys/$1"; mount --bind "$real/$1" "$sys/$1"; }; }
for path in "$real"/*; do case ${path##*/} in bus | class | devices) ;; *) show "${path##*/}" ;; esac; done
for path in "$real"/{bus,class,devices}/*; do
  case $path in */bus/pci | */class/net) ;; *) mkdir -p "$sys/$(basename "$(dirname "$path")")"; show "${path#"$real"/}" ;; esac
done

# One cgroup hierarchy a controller, as on the machine, or the one of version 2; in both only the node's own part is seen.
groups=$(awk '$(NF-2) ~ /^cgroup2?$/ { n = split($5, part, "/"); print $(NF-2), part[n] }' /proc/self/mountinfo)
if grep -q '^cgroup ' <<< "$groups"; then
  mount -t tmpfs -o mode=755 tmpfs "$sys/fs/cgroup"
  while read -r kind controller; do
    [ "$kind" = cgroup ] || continue
    mkdir "$sys/fs/cgroup/$controller"
    case $controller in systemd) options=none,name=systemd ;; *) options=$controller ;; esac
    mount -t cgroup -o "$options" cgroup "$sys/fs/cgroup/$controller"
  done <<< "$groups"
else
  mount -t cgroup2 cgroup2 "$sys/fs/cgroup" # no process may stay in a group that hands controllers down
  mkdir -p "$sys/fs/cgroup/init"
  for pid in $(< "$sys/fs/cgroup/cgroup.procs"); do echo "$pid" > "$sys/fs/cgroup/init/cgroup.procs" || true; done
  for c in $(< "$sys/fs/cgroup/cgroup.controllers"); do echo "+$c" > "$sys/fs/cgroup/cgroup.subtree_control" || true; done
fi

cd "$root"; pivot_root . .; umount -l .; cd /
mkdir -p /run/netns /run/lock
mount --make-rshared / # containers and named network namespaces propagate
hostname "$name"
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1
echo ready > "$folder/ready"
trap 'exit 0' TERM
while :; do sleep 3600 & wait $! || true; done # bash as PID 1 reaps orphans
