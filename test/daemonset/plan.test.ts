import t from "tap";
import type { Attachment } from "../../cni/attachment/record.ts";
import { type AttachmentFacts, plan, REASONS } from "../../daemonset/reconcile/plan.ts";

const record = (phase: Attachment["phase"]) => ({ phase }) as Attachment;
const alive = { isThisBoot: true, isWhole: true, hasNetns: true, hasLink: true, isAtHome: false, isRdmaAtHome: false };

for (const { when, seen, want } of [
  { when: "leaves a living attachment alone", seen: { ...alive, attachment: record("attached") }, want: [] },
  {
    when: "ends what an ADD left half done",
    seen: { ...alive, attachment: record("claimed") },
    want: ["detach: its ADD or DEL did not finish"],
  },
  {
    when: "ends what waits for its addresses",
    seen: { ...alive, attachment: record("returned") },
    want: ["detach: its addresses were not released"],
  },
  {
    when: "ends an attachment whose namespace is gone",
    seen: { ...alive, hasNetns: false, hasLink: false, attachment: record("attached") },
    want: ["detach: its network namespace is gone"],
  },
  {
    when: "ends every attachment of another boot",
    seen: { ...alive, isThisBoot: false, attachment: record("attached") },
    want: ["detach: the node was rebooted"],
  },
  {
    when: "gives a pod its VF again that the driver made anew",
    seen: { ...alive, hasLink: false, isAtHome: true, attachment: record("attached") },
    want: ["reattach: its VF's driver recovered, and created link and RDMA device again outside the pod"],
  },
  {
    when: "gives a pod its RDMA device again",
    seen: { ...alive, isRdmaAtHome: true, attachment: record("attached") },
    want: ["reattach: its VF's RDMA device is outside the pod: its driver created it again, or ADD ended too early"],
  },
  {
    when: "only reports a pod that lost its VF",
    seen: { ...alive, hasLink: false, attachment: record("attached") },
    want: ["report: the pod lives, but its VF is not in its namespace"],
  },
] satisfies { when: string; seen: AttachmentFacts; want: string[] }[])
  t.test(`plan() ${when}`, async (t) =>
    t.same(
      plan([seen]).map((a) => `${a.kind}: ${REASONS[a.reason]}`),
      want,
    ),
  );
