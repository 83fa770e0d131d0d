#!/bin/bash
# Netlink messages that need SR-IOV or RDMA, as ip(8), rdma(8) and the kernel exchange them: guest.json, one entry a command
# with all datagrams in both directions, and what the command prints as JSON. Runs as root in a test machine (test/vm):
#   node lab/vm/vm.ts start kern 2
#   node lab/vm/vm.ts sh kern "bash $PWD/test/kernel/support/capture-guest.sh" > test/kernel/support/guest.json
set -euo pipefail
modprobe rdma_rxe

# entry NAME COMMAND...
entry() {
  local name=$1; shift
  strace -o /tmp/trace -e trace=sendmsg,sendto,recvmsg,recvfrom -e read=3,4,5,6 -e write=3,4,5,6 "$@" > /tmp/out 2> /tmp/err || true
  NAME=$name COMMAND=$* python3 -c '
import json, os, re
datagrams = []
for line in open("/tmp/trace"):
    call = re.match(r"(send|recv)(msg|to|from)\(", line)
    if call: datagrams.append(None if "MSG_PEEK" in line else {"to": "kernel" if call[1] == "send" else "user", "hex": ""})
    dump = re.match(r" \| [0-9a-f]{5}  ((?:[0-9a-f]{2} ?| )+)  ", line)
    if dump and datagrams[-1]: datagrams[-1]["hex"] += dump[1].replace(" ", "")
out = open("/tmp/out").read()
try: printed = json.loads(out)
except ValueError: printed = None
print(json.dumps(os.environ["NAME"]) + ": " + json.dumps({
    "command": os.environ["COMMAND"],
    "datagrams": [d for d in datagrams if d and d["hex"]],
    "printed": printed,
    "error": open("/tmp/err").read().strip(),
}, indent=1), end="")'
}

echo "{"
ip link set rail0 vf 0 mac 02:11:22:33:44:55 vlan 7 qos 3 max_tx_rate 100 spoofchk off trust on > /dev/null
entry vfs ip -j -d link show rail0; echo ","
entry vf ip -j -d link show rail0v1; echo ","
entry refused-vlan ip link set rail0 vf 0 vlan 8 proto 802.1ad; echo ","
entry refused-vf ip link set rail0 vf 99 mac 02:11:22:33:44:56; echo ","
entry refused-name ip link set rail0v1 name rail0v0; echo ","
entry refused-mtu ip link set rail0v1 mtu 100000; echo ","
entry no-such-link ip link set index 4242 up; echo ","
entry shared rdma -j system show; echo ","
rdma system set netns exclusive
entry exclusive rdma -j system show; echo ","
entry no-devices rdma -j dev show; echo ","
rdma link add rxe0 type rxe netdev rail0; rdma link add rxe1 type rxe netdev rail1
entry devices rdma -j dev show; echo ","
entry rename rdma dev set rxe1 name rdma_rail1; echo ","
ip netns add pod
entry move rdma dev set rxe0 netns pod
echo "}"
