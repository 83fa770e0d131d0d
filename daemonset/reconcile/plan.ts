import type { Attachment } from "../../cni/attachment/record.ts";

/** One attachment as the journal has it, and the world around it. */
export interface Observation {
  readonly attachment: Attachment;
  readonly isThisBoot: boolean;
  /** The namespace that ADD saw still exists. */
  readonly hasNetns: boolean;
  /** The VF's link is in that namespace; true where userspace drives the VF. */
  readonly hasLink: boolean;
}

/** What the reconciler does about one attachment. */
export interface Action {
  readonly kind: "detach" | "report";
  readonly attachment: Attachment;
  readonly why: string;
}

/** An action and how it went. */
export interface Repair {
  readonly kind: Action["kind"];
  readonly containerID: string;
  readonly ifname: string;
  readonly pci: string;
  readonly why: string;
  readonly error?: string;
}

/** Pure. Records whose lock somebody holds are not observed: they are running work. */
export function plan(observations: readonly Observation[]): Action[] {
  return observations.flatMap((o): Action[] => {
    const why = reason(o);
    if (why) return [{ kind: "detach", attachment: o.attachment, why }];
    if (!o.hasLink)
      return [{ kind: "report", attachment: o.attachment, why: "the pod lives, but its VF is not in its namespace" }];
    return [];
  });
}

function reason({ attachment, isThisBoot, hasNetns }: Observation): string | undefined {
  if (!isThisBoot) return "the node was rebooted";
  if (attachment.phase === "claimed") return "its ADD did not finish";
  if (attachment.phase === "returned") return "its addresses were not released";
  return hasNetns ? undefined : "its network namespace is gone";
}
