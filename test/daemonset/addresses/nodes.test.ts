import t from "tap";
import { nodeState } from "../../../daemonset/addresses/leader/nodes.ts";

const ready = (status: string) => ({
  conditions: [
    { type: "DiskPressure", status: "False" },
    { type: "Ready", status },
  ],
});

for (const { when, node, want } of [
  { when: "it is not there", node: undefined, want: "gone" },
  { when: "it is ready", node: { status: ready("True") }, want: "ready" },
  { when: "it is not ready", node: { status: ready("False") }, want: "down" },
  { when: "its kubelet is silent", node: { status: ready("Unknown") }, want: "down" },
  { when: "it says nothing", node: {}, want: "down" },
  {
    when: "it is cordoned",
    node: { spec: { taints: [{ key: "node.kubernetes.io/unschedulable" }] }, status: ready("True") },
    want: "ready",
  },
  {
    when: "it is out of service",
    node: { spec: { taints: [{ key: "node.kubernetes.io/out-of-service" }] }, status: ready("Unknown") },
    want: "gone",
  },
] as { when: string; node?: object; want: string }[])
  t.test(`nodeState() of a node when ${when}: ${want}`, async (t) => {
    t.equal(nodeState(node && { metadata: { name: "n" }, ...node }), want);
  });
