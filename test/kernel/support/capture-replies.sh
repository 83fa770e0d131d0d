#!/bin/bash
# What the kernel answers, and what ip(8) makes of it: replies.json. Each entry has the bodies of the dump's messages in hex
# and ip's own JSON of the same state. Needs strace and iproute2; as root or not: unshare -rnm bash capture-replies.sh
set -euo pipefail
ip link add rail0 address 02:00:00:00:00:07 type veth peer name rail0p address 02:00:00:00:00:08
ip link set rail0 mtu 9000 alias "railnet 0000:af:06.0"
ip link property add dev rail0 altname enp175s6 altname ens1f0v0
ip link set rail0 up; ip link set rail0p up; ip link set lo up
ip addr add 10.0.0.5/24 brd + dev rail0
ip addr add 10.0.9.1 peer 10.0.9.2/32 dev rail0
ip addr add fd00::5/64 dev rail0 nodad
ip addr add fd00::6/64 dev rail0 noprefixroute nodad
ip route add default via 10.0.0.1 dev rail0 metric 50
ip route add 10.2.0.0/16 via 10.0.0.1 mtu 1400 advmss 1360 table 1000 src 10.0.0.5
ip route add 10.3.0.0/16 nexthop via 10.0.0.1 dev rail0 weight 1 nexthop via 10.0.0.2 dev rail0 weight 3
ip route add 10.4.0.0/16 dev rail0 table 100 scope host
ip -6 route add fd01::/64 via fd00::1 dev rail0 mtu 1400
ip -6 route add ::/0 nexthop via fd00::1 dev rail0 nexthop via fd00::2 dev rail0 weight 2
ip rule add from 10.0.0.5 lookup 100 priority 1000
ip rule add from 10.0.0.0/24 iif rail0 lookup 1000 priority 1001
ip rule add to 10.0.0.5 lookup 100 priority 1002
ip -6 rule add from fd00::5 lookup 1000 priority 1000

# entry NAME TYPE COMMAND...: the bodies of the messages of that type.
entry() {
  local name=$1 type=$2; shift 2
  printf '"%s": {"bodies": ' "$name"
  strace -s 100000 -e trace=recvmsg -e read=3 "$@" 2>&1 > /dev/null | TYPE=$type python3 -c '
import json, os, re, struct, sys
datagrams = []
for line in sys.stdin:
    if line.startswith("recvmsg") and "MSG_PEEK" not in line: datagrams.append(b"")
    elif line.startswith("recvmsg"): datagrams.append(None)
    dump = re.match(r" \| [0-9a-f]{5}  ((?:[0-9a-f]{2} ?| )+)  ", line)
    if dump and datagrams[-1] is not None: datagrams[-1] += bytes.fromhex(dump[1].replace(" ", ""))
bodies = []
for datagram in filter(None, datagrams):
    at = 0
    while at + 16 <= len(datagram):
        size, kind = struct.unpack_from("<IH", datagram, at)
        if kind == int(os.environ["TYPE"]): bodies.append(datagram[at + 16:at + size].hex())
        at += (size + 3) & ~3
print(json.dumps(bodies), end="")'
  printf ', "ip": %s}' "$("${@:1:1}" -j "${@:2}" | tr -d '\n')"
}
{
  echo "{"
  entry links 16 ip -d link show; echo ","
  entry addresses 20 ip addr show; echo ","
  entry routes 24 ip -N -d route show table all; echo ","
  entry rules 32 ip -N rule show; echo ","
  entry rules6 32 ip -N -6 rule show
  echo "}"
} | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin), indent=1))'
