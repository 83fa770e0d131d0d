#!/bin/bash
# Measures side by side with the Go tools: bench.sh [attach|ipam|cluster|rdma] [argument...]; default attach.
# attach: ADD and DEL beside the Go plugins and the kernel's floor; ipam: addresses beside Whereabouts; cluster: pods
# with four networks by kubelet and Multus, beside both; rdma: bandwidth and latency of every rail, pod beside host. See
# bench/*/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."
what=attach
case ${1:-} in attach | ipam | cluster | rdma) what=$1; shift ;; esac
case $what in
  attach) scripts/setup.sh npm debian vm peers:cniplugins ;;
  ipam) scripts/setup.sh npm debian peers:etcd,kubernetes-1.37/kube-apiserver,whereabouts ;;
  cluster) scripts/setup.sh npm debian peers:etcd,kubernetes-1.37,containerd,crictl,multus,cniplugins,whereabouts ;;
  rdma) case " $* " in *" --pods"* | *" --help "*) scripts/setup.sh npm ;; *) scripts/setup.sh npm debian vm ;; esac ;;
esac
if [ "$what" != rdma ]; then
  echo "[railnet] building the executables …" >&2
  bash scripts/build.sh
fi
exec node_modules/.bin/node "bench/$what/run.ts" "$@"
