import { setVf, type VfState } from "../../kernel/vf.ts";
import type { Host } from "../host.ts";
import { traitsOfPf } from "./drivers.ts";
import { linkNamed } from "./link-at.ts";
import { resetByCycle } from "./mac.ts";
import type { Attempts } from "./owed.ts";
import { patiently, type Waiter } from "./patience.ts";
import { leavesDeaf } from "./pf.ts";
import type { Attachment } from "./record.ts";
import { isCutOff, lookAtOwnPf, type VfAtPf } from "./vf-at-pf.ts";

type Settings = Partial<VfState>;

/**
 * Restores what ADD set and what still differs, except the MAC, which goes with the link's. A PF that no longer has the VF
 * has forgotten its settings already; one that only hides it, because it is in reset, has not.
 * Each setting that the driver refuses is owed.
 *
 * @throws {Error} if the PF keeps hiding it, or has no link.
 */
export async function restorePf(a: Attachment, host: Host, attempts: Attempts): Promise<void> {
  const { applied, original, device } = a;
  const keys = (Object.keys(applied) as (keyof VfState)[]).filter((key) => key !== "mac");
  if (!device.pf || !original.vf || keys.length === 0) return;
  const waiter = { clock: host.clock }; // even for an ADD that was given up
  const view = await lookAtOwnPf(a, host, waiter);
  if (!view) throw new Error(`cannot restore VF ${device.pf.vf} of ${device.pf.name}: that PF has no link here`);
  const isCut = view.isHidden && isCutOff(view.at.vf);
  if (view.isHidden && !isCut)
    throw new Error(`cannot restore VF ${view.at.vf} of ${view.pf.name}: it is in reset, or its driver is busy`);
  if (!view.state && !isCut) return host.log.warn(device, "the PF no longer has this VF: nothing is restored there");
  const wrong = keys.filter((key) => view.state?.[key] !== original.vf![key]);
  await setAll(groupsOf(wrong, original.vf), view.at, device.pf.name, host, waiter, attempts);
  if (leavesDeaf(Object.fromEntries(wrong.map((key) => [key, true])), traitsOfPf(device, host)))
    await wake(a, host, waiter);
}

/** Settings that the kernel accepts only together. */
const TOGETHER: readonly (readonly (keyof VfState)[])[] = [
  ["vlan", "qos", "proto"],
  ["minTxRate", "maxTxRate"],
];

function groupsOf(keys: readonly (keyof VfState)[], from: Settings): Settings[] {
  const groups = new Set(keys.map((key) => TOGETHER.find((group) => group.includes(key)) ?? [key]));
  const distinct = new Map([...groups].map((group) => [group.join(), group]));
  return [...distinct.values()].map((group) => Object.fromEntries(group.map((key) => [key, from[key]])) as Settings);
}

/** One request; if that is refused, one for each setting: the kernel stops at the first that it cannot do. */
async function setAll(
  groups: Settings[],
  at: VfAtPf,
  pf: string,
  host: Host,
  waiter: Waiter,
  attempts: Attempts,
): Promise<void> {
  if (groups.length === 0) return;
  const what = `restore VF ${at.vf} of ${pf}`;
  const set = (settings: Settings) =>
    patiently(() => host.rtnl.request(setVf(at.pfIndex, at.vf, settings, what)), waiter);
  try {
    await set(Object.assign({}, ...groups) as Settings);
  } catch (error) {
    const partOf = (group: Settings) => `PF ${Object.keys(group).join()}`;
    if (groups.length === 1) return attempts.fail(partOf(groups[0]!), error);
    for (const group of groups) await attempts.try(partOf(group), () => set(group));
  }
}

/** Resets a VF whose PF does not listen to it, so that its next pod can use it. */
async function wake({ original: { name, up } }: Attachment, { rtnl }: Host, waiter: Waiter): Promise<void> {
  const link = name === undefined || up ? undefined : linkNamed(rtnl, name);
  if (link && !link.up) await resetByCycle(rtnl, link.index, waiter);
}
