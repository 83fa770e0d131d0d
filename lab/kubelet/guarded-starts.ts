import type { Test } from "tap";
import { peer } from "../cluster/api-server.ts";
import type { Json } from "../cluster/raw.ts";
import { until } from "../until.ts";
import type { Cluster } from "./cluster.ts";
import { Containerd } from "./containerd.ts";
import type { RailnetDaemonSet } from "./daemon-set.ts";

const NETWORK = "/apis/railnet.io/v1alpha1/railnetworks/ishikari";
const RESOURCES = { "railnet.io/rail0": 1 };
const LIMIT_MS = 150_000;
/** A policy counts networks, and cannot know what they attach. */
const BESIDE = JSON.stringify({ cniVersion: "1.0.0", name: "beside", type: "bridge", bridge: "beside" });

/**
 * A RailNetwork comes to give rail0 to pods while one has a VF of it, and goes: a container of that pod starts again each time,
 * one of a pod that has a VF without attaching it does not. Its VFs have RDMA devices, as far as the agent can see.
 *
 * @param kept a pod with `railnet.io/rail0`, of a network that somebody wrote. It still runs in the end.
 */
export async function guardedStarts(t: Test, cluster: Cluster, railnet: RailnetDaemonSet, kept: string): Promise<void> {
  const { api, node, rails } = cluster;
  const folder = `/sys/bus/pci/devices/${rails[0]!.vfs.at(-1)!.pci}/infiniband_verbs`;
  await node.exec(["mkdir", "-p", `${folder}/uverbs0`]);
  await api.raw.apply({
    apiVersion: "railnet.io/v1alpha1",
    kind: "RailNetwork",
    metadata: { name: "ishikari" },
    spec: {
      rails: rails.map(({ name, pci, vfs }, i) => ({ name, pf: { pciAddresses: [pci] }, vfs: vfs.length, subnet: `10.210.${i}.0/24` })), // biome-ignore format: one row
      pods: { namespaces: { matchLabels: { rails: "nobody" } } },
    },
  });

  await t.test("a pod that has a VF of a RailNetwork without attaching it starts no container", async (t) => {
    await until("it is told why", () => isRefused(cluster), { limitMs: LIMIT_MS });
    t.pass("past admission, by a label that speaks of another RailNetwork");
    await startsAgain(t, cluster, kept);
  });

  await t.test("railnet doctor says whether one label is enough here", async (t) => {
    const { containers } = await cluster.containerd.crictl("ps", "--name", "^agent$");
    const doctor = [peer("crictl"), "-r", Containerd.socket, "exec", containers[0].id, "/usr/bin/railnet", "doctor"];
    const { minor } = await api.raw.get("/version");
    const isOld = Number.parseInt(minor, 10) < 36;
    t.match((await node.run(doctor)).stdout, isOld ? /no MutatingAdmissionPolicy, which Kubernetes has from 1\.36 on/ : /manifests\/admission\.yaml is not applied/); // biome-ignore format: one row
  });

  await t.test("a RailNetwork is deleted while a pod has a VF of it, and nothing else offers that", async (t) => {
    await railnet.setRails([]);
    await api.raw.delete(NETWORK);
    const offered = async () => (await api.raw.get(`/api/v1/nodes/${node.name}`)).status;
    const isKept = async () => {
      const { allocatable, capacity } = await offered();
      return allocatable["railnet.io/rail0"] === "0" && capacity["railnet.io/rail0"] === "1";
    };
    await until("the kubelet knows of the one VF, and gives it to nobody", isKept, { limitMs: LIMIT_MS });
    await startsAgain(t, cluster, kept);
  });
  await node.exec(["rm", "-r", folder]);
}

/** Tries one that asks for a VF, and names a network of another plugin: until the agent has looked, the kubelet does not ask. */
async function isRefused({ api, pods }: Cluster): Promise<boolean> {
  await api.raw.apply({ apiVersion: "k8s.cni.cncf.io/v1", kind: "NetworkAttachmentDefinition", metadata: { name: "beside", namespace: "default" }, spec: { config: BESIDE } }); // biome-ignore format: one row
  await pods.create("idle", {
    networks: ["beside"],
    resources: RESOURCES,
    labels: { "railnet.io/network": "elsewhere" },
  });
  let [events, phase]: [string[], string | undefined] = [[], undefined];
  const isDecided = async () => {
    [events, phase] = [await pods.events("idle"), (await pods.get("idle"))?.status.phase];
    return phase === "Running" || phase === "Failed" || events.some((one) => one.startsWith("Failed:"));
  };
  await until("its container starts or not", isDecided, { limitMs: LIMIT_MS, everyMs: 100 });
  await pods.remove("idle");
  return events.some((one) => /RailNetwork ishikari gives it to pods, and it is not attached to this one/.test(one));
}

/** Its container is killed, and the kubelet starts it once more. */
async function startsAgain(t: Test, { containerd, node, pods }: Cluster, pod: string): Promise<void> {
  const state = ({ status }: Json): Json => status.containerStatuses[0];
  const { restartCount, containerID } = state(await pods.running(pod));
  const { info } = await containerd.crictl("inspect", containerID.replace("containerd://", ""));
  await node.exec(["kill", "-KILL", `${info.pid}`]);
  const isAgain = async () => {
    const now = state(await pods.get(pod));
    return now.restartCount > restartCount && now.ready;
  };
  await until("its container runs again", isAgain, { limitMs: LIMIT_MS, everyMs: 200 }).catch(async (error) =>
    t.fail(`${error.message}: ${(await pods.events(pod)).join("\n")}`),
  );
}
