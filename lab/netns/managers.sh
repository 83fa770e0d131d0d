#!/bin/bash
# What Debian's own udev and systemd-networkd do with links, and keep of them: managers.sh SYSFS CONFIG READY DONE LINK...
# In mounts of its own: SYSFS is /sys, what CONFIG has of etc/udev and etc/systemd/network is the host's, /run is new. Writes
# READY when every LINK has been set up, with a copy of /run beside it, and ends when DONE is there.
set -euo pipefail
sysfs=$1 config=$2 ready=$3 done=$4; shift 4
if [ "${INSIDE:-}" = "" ]; then INSIDE=1 exec unshare --mount "$0" "$sysfs" "$config" "$ready" "$done" "$@"; fi
mount --bind "$sysfs" /sys
mount -t tmpfs run /run
for dir in udev/rules.d systemd/network; do
  mkdir -p "/etc/$dir"; mount -t tmpfs etc "/etc/$dir"
  cp "$config/etc/$dir"/* "/etc/$dir/" 2> /dev/null || true
done
mkdir -p /run/udev/data /run/systemd/netif/{links,leases,lldp}; touch /run/udev/control
chown -R systemd-network:systemd-network /run/systemd/netif
export SYSTEMD_DEVICE_VERIFY_SYSFS=0 SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console
for link; do udevadm test --action=add "/sys/class/net/$link" >> "$ready.log" 2>&1; done
/lib/systemd/systemd-networkd >> "$ready.log" 2>&1 & networkd=$!
trap 'kill $networkd' EXIT
state() { sed -n 's/^ADMIN_STATE=//p' "/run/systemd/netif/links/$(< "/sys/class/net/$1/ifindex")" 2> /dev/null; }
for link; do until [[ $(state "$link") =~ ^(unmanaged|configured|configuring)$ ]]; do kill -0 $networkd; sleep 0.05; done; done
cp -r /run/. "$ready.run"
touch "$ready"
until [ -e "$done" ]; do sleep 0.05; done
