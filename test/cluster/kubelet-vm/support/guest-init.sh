#!/bin/bash
# In the guest, after node.sh: the disk holds what a node keeps through a power cut, all else is new with each boot.
set -euo pipefail
modprobe -a virtio_blk ext4
mkdir /disk; mount -t ext4 /dev/vda /disk
for directory in /etc/{cni,containerd,kubernetes,railnet} /opt/{cni,railnet} /var/lib/{cni,containerd,kubelet,railnet}; do
  mkdir -p "/disk$directory" "$directory"; mount --bind "/disk$directory" "$directory"
done
mount --make-rshared / # containers and named network namespaces propagate
sysctl -qw net.ipv4.ip_forward=1
ip route add default via 10.0.2.2
