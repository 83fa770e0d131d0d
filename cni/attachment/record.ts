import type { Rule } from "../../kernel/rule.ts";
import type { VfState } from "../../kernel/vf.ts";
import { parseRecord } from "../../records/record-text.ts";
import type { RailSet } from "../protocol/request.ts";
import type { Result } from "../protocol/result.ts";
import type { LinkStateRecord } from "./link-state/snapshot.ts";

/** A VF as it was before the attachment: what DEL restores. */
export interface Original extends LinkStateRecord {
  /** Name in the host's namespace; absent when the VF has no link (vfio-pci). */
  readonly name?: string;
  readonly mac?: string;
  /** Bytes. */
  readonly mtu?: number;
  readonly alias?: string;
  readonly altnames?: readonly string[];
  readonly up?: boolean;
  /** The PF's settings for this VF; absent when there is no PF to ask. */
  readonly vf?: Partial<VfState>;
  /** The MAC in `vf` is an administrator's, according to the driver: the VF may not choose another. */
  readonly pinned?: true;
  /** Names of the RDMA devices that move with the VF. */
  readonly rdma?: readonly string[];
  /** The kernel's index of each, the same in every namespace; absent in records of 0.1.0. */
  readonly rdmaIndices?: readonly number[];
}

/** A VF and its PF. */
export interface DeviceIdentity {
  /** PCI address, `0000:af:06.0`. */
  readonly pci: string;
  readonly pf?: { readonly name: string; readonly pci: string; readonly vf: number };
}

/** How the kernel distinguished the VF's link from others at ADD. */
export interface LinkAtAdd {
  /** ifindex in the host's namespace. */
  readonly index: number;
  /** ifindex in the pod, if another link there already had the host's. */
  readonly podIndex?: number;
  /** The kernel reported the VF as its parent: then no other link is ever taken for it. */
  readonly hasParent: boolean;
  /** `IFLA_INFO_KIND`; "" for a device. */
  readonly kind: string;
}

/** How a VF was taken down: at the PF (`ip link set PF vf N state disable`), or by the link in the pod. */
export interface Fenced {
  readonly at: "PF" | "pod";
  /** `applied` has `linkState` only for DEL to restore it: ADD did not set it. */
  readonly addsLinkState?: true;
}

/** A part of a VF's restoration that failed, by the name of what it restores, and why. */
export interface Owed {
  readonly part: string;
  readonly why: string;
}

/**
 * The journal's entry for one attachment.
 *
 * - `claimed`: the VF may have been changed; ADD did not finish, or DEL began.
 * - `attached`: ADD finished, `addresses` is what it put on the link.
 * - `returned`: the VF is back and may already have another owner; only the addresses are still to be released.
 */
export interface Attachment {
  readonly version: 1;
  readonly phase: "claimed" | "attached" | "returned";
  readonly bootId: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly network: string;
  readonly netns: string;
  /** Inode of the namespace at ADD: a different one under the same path is not ours. */
  readonly netnsInode: number;
  readonly device: DeviceIdentity;
  /** Absent without a link, in records of 0.1.0, and in those converted from another plugin's. */
  readonly link?: LinkAtAdd;
  readonly original: Original;
  /** Settings that ADD writes at the PF: the only ones that DEL restores and CHECK compares. */
  readonly applied: Partial<VfState>;
  /** The result of IPAM. */
  readonly addresses?: Result;
  readonly deviceInfoFile?: string;
  /** There are policy rules to remove from the pod. */
  readonly hasRules?: boolean;
  /** These, written before the first is set; absent in records of 0.1.0. */
  readonly rules?: readonly Rule[];
  /** The original call, so that IPAM can be called again without its caller. */
  readonly request: { readonly path: readonly string[]; readonly args: string; readonly stdin: string };
  /** It was attached together with others. `ifname` is then its own, not the one that the runtime knows. */
  readonly set?: RailSet;
  /** `namespace/name` if the runtime passed it: for people. */
  readonly pod?: string;
  /** It was taken down by its node, which lost contact with the cluster; null: that is over. */
  readonly fenced?: Fenced | null;
  /** What remains to be restored when everything else is done: only in a debt. */
  readonly owed?: readonly Owed[];
}

/** The name under which the runtime knows an attachment. */
export const runtimeName = ({ ifname, set }: Pick<Attachment, "ifname" | "set">): string => set?.via ?? ifname;

/** The owner in words: pod if known, container and interface always. */
export function describe(a: Pick<Attachment, "containerId" | "ifname" | "pod">): string {
  const who = `container ${a.containerId} (${a.ifname})`;
  return a.pod ? `pod ${a.pod}, ${who}` : who;
}

const PHASES = ["claimed", "attached", "returned"];
const isObject = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null;
const isRailSet = (x: unknown): boolean =>
  isObject(x) && typeof x.via === "string" && Array.isArray(x.rails) && x.rails.every((one) => typeof one === "string");
const isPci = (x: unknown): boolean => typeof x === "string" && /^[\w.:-]+$/.test(x);

/**
 * Reads a record as the journal writes it: {@link parseRecord}.
 *
 * @throws {LaterVersionError}
 * @throws {SyntaxError} when the text is not a complete record of a version that we read.
 */
export function parseAttachment(text: string): Attachment {
  const a = parseRecord(text);
  if (!PHASES.includes(a.phase as string)) throw new SyntaxError(`unknown phase ${String(a.phase)}`);
  for (const key of ["bootId", "containerId", "ifname", "network", "netns"])
    if (typeof a[key] !== "string") throw new SyntaxError(`${key} is missing`);
  if (!isObject(a.device) || !isPci(a.device.pci)) throw new SyntaxError("device.pci is missing");
  if (!isObject(a.original)) throw new SyntaxError("original is missing");
  if (!isObject(a.applied)) throw new SyntaxError("applied is missing");
  if (!isObject(a.request) || typeof a.request.stdin !== "string" || !Array.isArray(a.request.path))
    throw new SyntaxError("request is missing");
  if (a.set !== undefined && !isRailSet(a.set)) throw new SyntaxError("set is none");
  return a as unknown as Attachment;
}
