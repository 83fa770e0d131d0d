#!/bin/bash
# In the guest: a network namespace POD with VF number I of every rail as net1..net4, host part H of the rails' subnets.  POD=… I=… H=…
set -euo pipefail
ip netns add "$POD"
ip netns exec "$POD" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.rp_filter=0
for r in 0 1 2 3; do echo "link set rail${r}v$I netns $POD name net$((r + 1))"; done | ip -batch -
{
  echo "link set lo up"
  for r in 0 1 2 3; do printf 'addr add 192.168.%s.%s/24 dev net%s\nlink set net%s up\n' $r "$H" $((r + 1)) $((r + 1)); done
} | ip -n "$POD" -batch -
