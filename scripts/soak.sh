#!/bin/bash
# The long tests: 200 seeds of a hostile pod, 200 walks on the double of each driver, a mesh of 50 nodes on rails with 100 faults and ten minutes at rest, ten minutes of fuzzing the shim, five of Whereabouts beside us (50 callers each), ten of accidents to
# addresses, the kubelet's tests on the oldest Kubernetes that is supported and on 1.35, an hour of the simulated cluster by fresh seeds, how far IPAM goes
# (bench/ipam/scale.ts), and the seeded random walk on real VFs with 500 steps.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh npm debian vm peers peers:kubernetes-1.34,kubernetes-1.35
bash scripts/build.sh --test
RAILNET_HOSTILE_SEEDS=${RAILNET_HOSTILE_SEEDS:-200} node_modules/.bin/node test/run.ts --limit 14400 test/netns/hostile-random
RAILNET_DRIVERS_RUNS=${RAILNET_DRIVERS_RUNS:-200} RAILNET_DRIVERS_EVENTS=40 node_modules/.bin/node test/run.ts --limit 14400 test/cni/drivers/walk
RAILNET_MESH_NODES=${RAILNET_MESH_NODES:-50} RAILNET_MESH_STEPS=${RAILNET_MESH_STEPS:-100} RAILNET_MESH_REST_SECONDS=${RAILNET_MESH_REST_SECONDS:-600} \
  node_modules/.bin/node test/run.ts --limit 14400 test/netns/node-routes-random
bash test/cni/shim/fuzz/run.sh "${RAILNET_FUZZ_SECONDS:-600}"
RAILNET_INTEROP_SECONDS=${RAILNET_INTEROP_SECONDS:-300} RAILNET_INTEROP_PEERS=${RAILNET_INTEROP_PEERS:-50} \
  node_modules/.bin/node test/run.ts --limit 14400 test/cluster/interop/
RAILNET_OUTAGE_PODS=${RAILNET_OUTAGE_PODS:-1000} node_modules/.bin/node test/run.ts --limit 14400 test/cluster/faults/outage
export RAILNET_SOAK_SECONDS=${RAILNET_SOAK_SECONDS:-600}
node_modules/.bin/node test/run.ts --limit $((RAILNET_SOAK_SECONDS + 3600)) test/cluster/soak
for version in 1.34 1.35; do
  RAILNET_KUBERNETES=$version node_modules/.bin/node test/run.ts --limit 14400 test/cluster/kubelet/ test/cluster/manifests test/cluster/addresses
done
npm run --silent simulate -- --from "$((RANDOM * 32768 + RANDOM))" --count 1000000 --seconds "${RAILNET_SIMULATION_SECONDS:-3600}"
node_modules/.bin/node bench/ipam/scale.ts
RAILNET_PARTS=walk RAILNET_WALK_STEPS=${RAILNET_WALK_STEPS:-500} exec node_modules/.bin/node test/run.ts --limit 14400 test/vm/attach/attach
