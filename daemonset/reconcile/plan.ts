import type { Attachment } from "../../cni/attachment/record.ts";

/** One attachment as the journal has it, and its surroundings. */
export interface AttachmentFacts {
  readonly attachment: Attachment;
  readonly isThisBoot: boolean;
  /** All rails of its set were attached, or it is not part of one. */
  readonly isWhole: boolean;
  /** The namespace that ADD saw still exists. */
  readonly hasNetns: boolean;
  /** The VF's link is in that namespace; true if a userspace driver has the VF. */
  readonly hasLink: boolean;
  /** It is in the host's namespace. */
  readonly isAtHome: boolean;
  /** Its RDMA device, which ADD moved into the pod, is in the host's namespace. */
  readonly isRdmaAtHome: boolean;
}

/** Why something is done, in words for a log; the keys are for metrics. */
export const REASONS = {
  rebooted: "the node was rebooted",
  unfinished: "its ADD or DEL did not finish",
  unreleased: "its addresses were not released",
  orphaned: "its network namespace is gone",
  stray: "its VF returned to the host and its record is lost",
  owed: "its VF was not fully restored",
  remade: "its VF's driver recovered, and created link and RDMA device again outside the pod",
  rdmaRemade: "its VF's RDMA device is outside the pod: its driver created it again, or ADD ended too early",
  gidMoved: "its RDMA device changed in the pod, which was told so in /run/railnet",
  astray: "the pod lives, but its VF is not in its namespace",
} as const;
export type Reason = keyof typeof REASONS;

/** What the reconciler does about one attachment. */
export interface ReconcileAction {
  readonly kind: "detach" | "reattach" | "retell" | "report";
  readonly attachment: Attachment;
  readonly reason: Reason;
}

/** An action and how it went. */
export interface Repair {
  readonly kind: ReconcileAction["kind"];
  readonly containerID: string;
  readonly ifname: string;
  readonly pci: string;
  /** `namespace/name`, if the runtime passed it. */
  readonly pod?: string;
  readonly reason: Reason;
  readonly why: string;
  readonly error?: string;
  /** It is done, but the pod still lacks something. */
  readonly but?: string;
}

/** Pure. Records whose lock is held are not observed: they are being worked on. */
export function plan(observations: readonly AttachmentFacts[]): ReconcileAction[] {
  return observations.flatMap((o): ReconcileAction[] => {
    const { attachment } = o;
    const reason = reasonOf(o);
    if (reason) return [{ kind: "detach", attachment, reason }];
    if (o.hasLink) return o.isRdmaAtHome ? [{ kind: "reattach", attachment, reason: "rdmaRemade" }] : [];
    return [
      o.isAtHome
        ? { kind: "reattach", attachment, reason: "remade" }
        : { kind: "report", attachment, reason: "astray" },
    ];
  });
}

function reasonOf({ attachment, isThisBoot, isWhole, hasNetns }: AttachmentFacts): Reason | undefined {
  if (!isThisBoot) return "rebooted";
  if (attachment.phase === "claimed") return "unfinished";
  if (attachment.phase === "returned") return "unreleased";
  if (!isWhole) return "unfinished";
  return hasNetns ? undefined : "orphaned";
}
