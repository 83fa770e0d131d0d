import t from "tap";
import { readPods } from "../../../cli/ipam/audit/read-pods.ts";
import { podIsOver } from "../../../daemonset/addresses/evidence.ts";
import type { Cluster, KubeObject, Resource, Selection } from "../../../kubernetes/cluster.ts";

const HASH = "6e0bd8dcbdd3bd5ed0a4bd3c1b6fd9f0";

/** As the kubelet's mirror client makes it. */
const mirror: KubeObject = {
  metadata: {
    namespace: "kube-system",
    name: "proxy-node-a",
    uid: "0d4b8c0e-11e5-4d6c-93c7-0d7d8f0f6c55",
    annotations: {
      "kubernetes.io/config.hash": HASH,
      "kubernetes.io/config.mirror": HASH,
      "kubernetes.io/config.source": "file",
    },
  },
};

t.test("readPods() knows a static pod by the UID that its CNI calls carry", async (t) => {
  const list = async (_: Resource, { fieldSelector }: Selection = {}) => ({
    items: fieldSelector ? [] : [mirror],
    resourceVersion: "1",
  });
  const { pods } = await readPods({ list } as unknown as Cluster);
  const pod = pods.get("kube-system/proxy-node-a");
  t.equal(podIsOver(pod, HASH), undefined, "what it has is no orphan's");
  t.match(podIsOver(pod, "another"), /another of the same name has UID 6e0bd8/);
});
