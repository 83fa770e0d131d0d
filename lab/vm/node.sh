#!/bin/bash
# In the guest: names the NICs, makes VFs, addresses them.
# NODE = 1 or 2 (host part of the addresses), VFS a rail, MTU.
# rail0..3 = PFs (192.168.<rail>.<NODE>/24), rail<r>v<i> = VFs, prim0 = virtio NIC if there is one (192.0.2.<NODE>/24),
# host0 = the one to the host's loopback, 10.0.2.2.
set -euo pipefail
node=${NODE:-1} vfs=${VFS:-4} mtu=${MTU:-1500}
modprobe -a rdma_rxe rdma_ucm ib_uverbs & # waits for 9p while the rest waits for the NICs

# PFs while they are down: making VFs resets a PF, which takes longer when it is up.
for path in /sys/class/net/*; do
  name=${path##*/}; read -r mac < "$path/address"
  case $mac in
    02:aa:*)
      [ -e "$path/device/sriov_totalvfs" ] || continue # a VF with its PF's address
      r=$((16#${mac##*:}))
      echo "$vfs" > "$path/device/sriov_numvfs"
      printf 'link set %s name rail%s\nlink set rail%s mtu %s up\naddr add 192.168.%s.%s/24 dev rail%s\n' "$name" $r $r "$mtu" $r "$node" $r ;;
    02:cc:*) printf 'link set %s name host0\nlink set host0 up\naddr add 10.0.2.15/24 dev host0\n' "$name" ;;
    02:bb:*) printf 'link set %s name prim0\nlink set prim0 up\naddr add 192.0.2.%s/24 dev prim0\n' "$name" "$node" ;;
  esac
done > /tmp/node.batch
ip -batch /tmp/node.batch

for r in 0 1 2 3; do for ((i = 0; i < vfs; i++)); do
  for ((t = 0; t < 200; t++)); do
    v=("/sys/class/net/rail$r/device/virtfn$i/net/"*); [ ! -e "${v[0]}" ] || break; sleep 0.02
  done
  printf 'link set %s name rail%sv%s\n' "${v[0]##*/}" $r $i
done; done > /tmp/node.batch
ip -batch /tmp/node.batch
rm /tmp/node.batch

echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce
for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > "$f"; done
wait
