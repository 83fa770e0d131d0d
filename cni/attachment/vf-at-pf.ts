import { codeOf } from "../../kernel/errno.ts";
import { getLink, type Link, parseLink } from "../../kernel/link.ts";
import { pfOf } from "../../kernel/sysfs.ts";
import { parseNumVfs, parseVfs, type VfState } from "../../kernel/vf.ts";
import type { Host } from "../host.ts";
import { awaitAnswer, type Waiter } from "./patience.ts";
import type { Attachment } from "./record.ts";

/** A VF at its PF, where its administrative settings are. */
export interface VfAtPf {
  readonly pfIndex: number;
  readonly vf: number;
}

/** What a PF reports about a VF. */
export interface PfView {
  readonly pf: Link;
  readonly at: VfAtPf;
  /** Absent when it is not in the PF's list. */
  readonly state?: VfState;
  /**
   * The PF has it, but its driver does not report it now: it is in reset, or the PF is busy (`rtnl_fill_vfinfo` omits what a
   * driver refuses).
   */
  readonly isHidden: boolean;
}

/** Newer kernels omit VFs from this index on from the list (`rtnl_vfinfo_cap`); they can still be set. */
const LISTED_VFS = 256;

/** @returns undefined when the PF has no link of this name. */
export function lookAtPf(name: string, vf: number, { rtnl }: Pick<Host, "rtnl">): PfView | undefined {
  let body: Buffer;
  try {
    body = rtnl.request(getLink({ name }, { vfs: true }))!;
  } catch (error) {
    if (codeOf(error) === "ENODEV") return undefined;
    throw error;
  }
  const pf = parseLink(body);
  const state = parseVfs(body).get(vf);
  const isHidden = !state && vf < parseNumVfs(body);
  return { pf, at: { pfIndex: pf.index, vf }, ...(state && { state }), isHidden };
}

/** Like lookAtPf(), for an attachment's VF, once it shows. The PF's name is read again: PFs get renamed. */
export async function lookAtOwnPf({ device }: Attachment, host: Host, waiter: Waiter): Promise<PfView | undefined> {
  const { pci, pf } = device;
  if (!pf) return undefined;
  const view = await awaitVf(pfOf(host.paths.sysfs, pci)?.name ?? pf.name, pf.vf, host, waiter);
  return view?.pf.parent && view.pf.parent !== pf.pci ? undefined : view; // another device may have the name by now
}

/** Waits, for a limited time, until a VF that is only hidden shows. */
export async function awaitVf(
  name: string,
  vf: number,
  host: Pick<Host, "rtnl">,
  waiter: Waiter,
): Promise<PfView | undefined> {
  let last: PfView | undefined;
  await awaitAnswer(() => {
    last = lookAtPf(name, vf, host);
    return !last?.isHidden || isCutOff(vf) ? true : undefined;
  }, waiter);
  return last;
}

/** Whether the list of a newer kernel does not reach that far. */
export const isCutOff = (vf: number): boolean => vf >= LISTED_VFS;
