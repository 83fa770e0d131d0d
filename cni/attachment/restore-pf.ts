import type { Host } from "../host.ts";
import { codeOf } from "../kernel/errno.ts";
import { getLink, parseLink } from "../kernel/link.ts";
import { pfOf } from "../kernel/sysfs.ts";
import { parseVfs, setVf, type VfState } from "../kernel/vf.ts";
import { setAdminMac, type VfAtPf } from "./mac.ts";
import type { Attachment } from "./record.ts";

/** Undefined when the PF has no link any more. Its name is read anew: PFs get renamed. */
export function readPf(
  { device: { pci, pf } }: Attachment,
  host: Host,
): { at: VfAtPf; now: VfState | undefined } | undefined {
  if (!pf) return undefined;
  try {
    const name = pfOf(host.paths.sysfs, pci)?.name ?? pf.name;
    const body = host.rtnl.request(getLink({ name }, { vfs: true }))!;
    return { at: { pfIndex: parseLink(body).index, vf: pf.vf }, now: parseVfs(body).get(pf.vf) };
  } catch (error) {
    if (codeOf(error) === "ENODEV") return undefined;
    throw error;
  }
}

/**
 * Only what ADD set and what differs now: one request for all but the MAC, which some drivers apply late. A PF that does
 * not show the VF any more has forgotten its settings by itself.
 */
export async function restorePf(a: Attachment, host: Host): Promise<void> {
  const { applied, original, device } = a;
  const keys = Object.keys(applied) as (keyof VfState)[];
  if (!device.pf || !original.vf || keys.length === 0) return;
  const pf = readPf(a, host);
  if (!pf?.now) return host.log.warn(device, "the PF does not show this VF: no setting there is restored");
  const { at, now } = pf;
  const { mac, ...rest } = Object.fromEntries(
    keys.filter((k) => now[k] !== original.vf![k]).flatMap((k) => companions(k, original.vf!)),
  ) as Partial<VfState>;
  if (mac !== undefined) await setAdminMac(host.rtnl, at, mac);
  if (Object.keys(rest).length > 0)
    host.rtnl.request(setVf(at.pfIndex, at.vf, rest, `restore VF ${at.vf} of ${device.pf.name}`));
}

/** Settings that the kernel takes together. */
const TOGETHER: readonly (readonly (keyof VfState)[])[] = [
  ["vlan", "qos", "proto"],
  ["minTxRate", "maxTxRate"],
];

function companions(key: keyof VfState, from: Partial<VfState>): [string, unknown][] {
  return (TOGETHER.find((group) => group.includes(key)) ?? [key]).map((k) => [k, from[k]]);
}
