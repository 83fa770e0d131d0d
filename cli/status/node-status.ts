import type { Owed } from "../../cni/attachment/record.ts";
import type { AgentState } from "../../daemonset/control.ts";
import type { RailNames } from "../../daemonset/inventory/rails.ts";
import type { VfUse } from "../../daemonset/inventory/vfs.ts";

/** What `railnet status --json` prints. Unknown values are null. */
export interface NodeStatus {
  /** Name in the cluster. */
  readonly node: string;
  readonly agent: AgentAnswer;
  readonly rdma: "shared" | "exclusive" | null;
  readonly rails: readonly RailStatus[];
  /** What the list of rails wants for those that are here. */
  readonly configured: RailNames["here"];
  /** Configured rails that this node does not have, which is not a problem. */
  readonly absent: RailNames["absent"];
  /** Why the list of rails cannot be used; empty if it can. */
  readonly unusable: string;
  readonly attachments: readonly AttachmentStatus[];
  /** VFs that could not be fully restored, and that no pod gets before they are. */
  readonly debts: readonly DebtStatus[];
  /** One sentence each, with what to do; empty if all is well. */
  readonly problems: readonly string[];
}

export type AgentAnswer = ({ readonly answers: true } & AgentState) | { readonly answers: false; readonly why: string };

export interface RailStatus {
  /** The PF's name if no rail is configured. */
  readonly rail: string;
  readonly pf: string;
  readonly pci: string;
  readonly driver: string | null;
  /** `gone`: the PF has no link in the host's namespace. */
  readonly link: "up" | "no carrier" | "down" | "gone";
  /** Mb/s. */
  readonly speed: number | null;
  /** Bytes. */
  readonly mtu: number | null;
  readonly numaNode: number | null;
  /** RDMA devices of the PF. */
  readonly rdma: readonly string[];
  readonly vfs: readonly { readonly pci: string; readonly index: number; readonly state: VfUse }[];
}

export interface DebtStatus {
  readonly vf: string;
  readonly rail: string;
  /** Who had it: the pod, `namespace/name`, or its container if the runtime did not pass that. */
  readonly since: string;
  readonly owed: readonly Owed[];
}

export interface AttachmentStatus {
  /** `namespace/name`; empty if the runtime did not pass it. */
  readonly pod: string;
  readonly ifname: string;
  readonly network: string;
  readonly rail: string;
  readonly vf: string;
  readonly addresses: readonly string[];
  readonly containerId: string;
  /** Its VF was taken down because nobody heard from the node. */
  readonly isFenced?: true;
  /**
   * `attached`: the pod has its VF. `claimed`: its ADD is in progress, or has died. `returned`: only its addresses are still
   * to be released. `astray`: the pod is running without it. `orphaned`: the pod is gone. `rebooted`: from before the reboot.
   */
  readonly state: "attached" | "claimed" | "returned" | "astray" | "orphaned" | "rebooted";
}
