# shellcheck shell=bash
# In the guest, before what a test asks: every namespace made by `ip netns add` is a pod with an eth0 of its cluster's network, default
# routes and some more, to where rails have routes, too. It ends with the namespace. Recorded runs of others had none: `command ip`.
ip() {
  command ip "$@" || return
  [ "${1-} ${2-}" = "netns add" ] || return 0
  command ip -n "$3" -batch - << END
link set lo up
link add eth0 type dummy
addr add 10.244.0.2/16 dev eth0
addr add fd00:244::2/64 dev eth0 nodad
link set eth0 up
route add default via 10.244.0.1
route add default via fd00:244::1
route add 10.96.0.0/12 via 10.244.0.1
route add 10.0.0.0/8 via 10.244.0.1
route add 10.10.0.0/16 via 10.244.0.1
END
}
