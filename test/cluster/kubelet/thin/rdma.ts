import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Test } from "tap";
import { kubernetes, peer } from "../../../../lab/cluster/api-server.ts";
import type { Cluster } from "../../../../lab/kubelet/cluster.ts";
import { Containerd } from "../../../../lab/kubelet/containerd.ts";
import { makePerftestImage, PERFTEST } from "../../../../lab/kubelet/perftest-image.ts";
import { podObject } from "../../../../lab/kubelet/pods.ts";
import { type Running, start } from "../../../../lab/netns/run.ts";
import { until } from "../../../../lab/until.ts";

const BENCH = join(import.meta.dirname, "../../../../bench/rdma/run.ts");
const PODS = ["a", "b"] as const;

/** The same network, a VF of each rail for each pod: in a namespace of its own, because no device plugin chooses. */
async function applyNetworks(cluster: Cluster, pod: string, vf: number): Promise<void> {
  await cluster.api.raw.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: `of-${pod}` } });
  for (const rail of cluster.rails.slice(0, 2)) {
    const ipam = { type: "railnet-ipam", range: `10.210.${rail.name.replace("rail", "")}.0/24` };
    const config = { cniVersion: "1.0.0", name: rail.name, type: "railnet-sriov", deviceID: rail.vfs[vf]!.pci, ipam };
    await cluster.api.raw.apply({
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { name: rail.name, namespace: `of-${pod}` },
      spec: { config: JSON.stringify(config) },
    });
  }
}

/**
 * The user's kubectl: the real one, but for `exec -i NAME -n NAMESPACE -- COMMAND…`. Nothing leads from this API server to
 * the kubelet, so the pod's container is asked as the kubelet asks it, by the runtime's streaming server.
 */
const KUBECTL = `#!/bin/bash
[ "$1" = exec ] || exec ${kubernetes("kubectl")} --cache-dir="$FOLDER/kubectl" "$@"
crictl=(nsenter --target=$NODE --mount --pid --net --wd=/ ${peer("crictl")} -r ${Containerd.socket})
container=$("\${crictl[@]}" ps --quiet --label io.kubernetes.pod.name=$3) || exit
exec "\${crictl[@]}" exec -i $container "\${@:7}"
`;

function startBench(cluster: Cluster, ...args: string[]): Running {
  const bin = join(cluster.node.folder, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "kubectl"), KUBECTL, { mode: 0o755 });
  const of = { FOLDER: cluster.api.folder, KUBECONFIG: cluster.api.kubeconfig(), NODE: `${cluster.node.pid}` };
  const env = { ...process.env, ...of, PATH: `${bin}:${process.env["PATH"]}` };
  return start(process.execPath, [BENCH, "--pods", "default/a,b", ...args], { env });
}

/** How many iperf3 run on the node, by its own process table. */
const running = async ({ node }: Cluster) => Number((await node.run(["pgrep", "-c", "-x", "iperf3"])).stdout);

/** Two pods with the tools, on two rails. */
async function startPods(cluster: Cluster): Promise<void> {
  await cluster.containerd.load(await makePerftestImage(cluster.node.folder));
  for (const [vf, pod] of PODS.entries()) {
    await applyNetworks(cluster, pod, vf);
    const object = podObject(pod, { networks: [`of-${pod}/rail0`, `of-${pod}/rail1`] });
    object.spec.containers[0].image = PERFTEST;
    await cluster.api.raw.post("/api/v1/namespaces/default/pods", object);
  }
  for (const pod of PODS) await cluster.pods.running(pod);
}

/** bench/rdma in pods of a real kubelet: their rails are those of Multus' status, their commands those of a real runtime. */
export async function rdmaTests(t: Test, cluster: Cluster): Promise<void> {
  await startPods(cluster);
  await t.test("TCP where there is no RDMA device, marked as such", async (t) => {
    const { exit, stdout, stderr } = await startBench(cluster, "--min-gbps", "0.001", "--allow-tcp");
    t.equal(exit, 0, stderr);
    t.match(stdout, /^rail0 +- +[\d.]+ TCP .* pod: TCP, no RDMA device/m, "no RDMA device here");
    t.match(stdout, /^rail1 +- +[\d.]+ TCP .* pod: TCP, no RDMA device/m);
    t.equal(await running(cluster), 0);
  });
  for (const signal of ["SIGINT", "SIGKILL"] as const)
    await t.test(`${signal} ends what runs in the pods`, async (t) => {
      const bench = startBench(cluster);
      await until("server and client", async () => (await running(cluster)) === 2);
      bench.kill(signal);
      const { exit } = await bench;
      if (signal === "SIGINT") t.equal(exit, 130);
      else await until("the end of both", async () => (await running(cluster)) === 0);
      t.equal(await running(cluster), 0);
    });
}
