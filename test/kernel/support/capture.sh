#!/bin/bash
# What ip(8) sends for each line of standard input, as `COMMAND<TAB>type<TAB>flags<TAB>hex of the body`: the bytes of
# captures.ts. Needs strace and iproute2; as root or not: unshare -rnm bash test/kernel/support/capture.sh < commands
set -euo pipefail
mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns
ip netns add pod
ip link add v0 type veth peer name v1

# The last message that the command sends: the first ones look up the link.
last_sent() {
  strace -e trace=sendmsg,sendto -e write=3 "$@" 2>&1 > /dev/null | python3 -c '
import re, struct, sys
messages = []
for line in sys.stdin:
    if line.startswith("send"): messages.append(b"")
    dump = re.match(r" \| [0-9a-f]{5}  ((?:[0-9a-f]{2} ?| )+)  ", line)
    if dump: messages[-1] += bytes.fromhex(dump[1].replace(" ", ""))
size, kind, flags = struct.unpack_from("<IHH", messages[-1])
print(kind, "0x%x" % flags, messages[-1][16:size].hex(), sep="\t")'
}
while read -r command; do printf '%s\t%s\n' "$command" "$(eval "last_sent $command")"; done
