#!/bin/busybox sh
# shellcheck shell=dash
# The test machine's /init: the host's root read-only over 9p under a tmpfs; then PID 1 is the command channel.
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin; /bin/busybox --install -s
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
# shellcheck disable=SC2046 # a module's arguments are words
load() { while read -r m; do insmod "/mods/$m" $(cat "/mods/$m.arguments" 2>/dev/null) || echo "insmod $m failed"; done < "/mods/$1"; }
load first
load nics # igb probes all rails at once, mostly waiting, while this goes on
argument() { sed -n "s/.*railnet\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
name=$(argument name) modules=$(argument modules)

mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro hostroot /host
mount -t tmpfs t /rw; mkdir /rw/hot /rw/u /rw/w
# Opening a file over 9p costs about a millisecond each time, so the usual programs and their libraries are served from memory.
# shellcheck disable=SC2046
(cd /host && tar cf - $(cat /hot)) | tar xf - -C /rw/hot
mount -t overlay -o lowerdir=/rw/hot:/host,upperdir=/rw/u,workdir=/rw/w o /root
for d in proc sys dev; do mkdir -p "/root/$d"; mount --move "/$d" "/root/$d"; done
mount -t tmpfs r /root/run; mount -t tmpfs tt /root/tmp; chmod 1777 /root/tmp
project=${modules%/.cache/*} # programs of it are run in the guest, also when it lies in /tmp
case $project in /tmp/*) mkdir -p "/root$project"; mount --bind "/host$project" "/root$project";; esac
mkdir -p /root/x /root/dev/pts /root/dev/shm /root/run/netns /root/run/lock /root/usr/lib/modules
mount -t devpts p /root/dev/pts; mount -t tmpfs m /root/dev/shm
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro x /root/x
mount -t cgroup2 c /root/sys/fs/cgroup
# The kernel asks for all other modules by itself when they are first used.
mount --bind "/host$modules" /root/usr/lib/modules
cp /channel /root/run/channel; hostname "$name"; ip link set lo up
nics_ready() { for p in /root/sys/bus/pci/drivers/igb/0000:*; do [ -e "$p/net" ] || return 1; done; }
until nics_ready; do usleep 20000; done
ports=; for p in /root/sys/class/virtio-ports/*; do ports="$ports /dev/${p##*/}"; done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
echo guest-ready > /root/dev/console
# shellcheck disable=SC2086
exec switch_root /root /run/channel $ports
