import type { Link } from "../../kernel/link.ts";
import { netdevOf } from "../../kernel/sysfs.ts";
import { type VfState, vfsOf } from "../../kernel/vf.ts";
import type { Host } from "../host.ts";
import { linkNamed } from "./link-at.ts";
import { linkState } from "./link-state/snapshot.ts";
import { type Origin, Origins } from "./origins.ts";
import type { DeviceIdentity, Original } from "./record.ts";

/** What DEL must restore on a link. Pure. */
export const originalOf = ({ name, mac, mtu, alias, altnames, up }: Link): Original => ({
  name,
  mac,
  mtu,
  alias,
  altnames,
  up,
});

/** The link that sysfs shows for a VF in the host's namespace, if it is there and the kernel does not say otherwise. */
export function linkAtHome(pci: string, { rtnl, paths }: Pick<Host, "rtnl" | "paths">): Link | undefined {
  const name = netdevOf(paths.sysfs, pci);
  const link = name === undefined ? undefined : linkNamed(rtnl, name);
  return link && (!link.parent || link.parent === pci) ? link : undefined;
}

/** Notes the state of a VF that nobody has. The caller holds its lock and knows that it is free. Never throws: an ADD reports the problem better. */
export function noteOrigin(pci: string, link: Link, original: Original, host: Host): void {
  const { index, kind, parent } = link;
  try {
    new Origins(host.paths.stateDir).note({
      version: 1,
      bootId: host.bootId,
      pci,
      link: { index, hasParent: parent !== "", kind },
      original,
    });
  } catch (err) {
    host.log.warn({ err, pci }, "cannot record a VF's original settings");
  }
}

/** Like noteOrigin(), with the PF's settings, which are read only where there is no note yet, since some firmware is slow to answer. */
export function noteAtHome({ pci, pf }: DeviceIdentity, link: Link, host: Host): void {
  const noted = new Origins(host.paths.stateDir).of(pci, host.bootId);
  if (noted && isSame(noted, link)) return;
  const vf = noted ? noted.original.vf : pf && settingsOf(pf.name, pf.vf, host);
  noteOrigin(pci, link, { ...originalOf(link), ...linkState(link, host), ...(vf && { vf }) }, host);
}

/** As far as the link itself shows: the rest takes requests of its own. */
function isSame({ link: { index }, original }: Origin, link: Link): boolean {
  const now = { ...originalOf(link), settings: link.settings };
  const names = Object.keys(now) as (keyof typeof now)[];
  return index === link.index && names.every((name) => JSON.stringify(original[name]) === JSON.stringify(now[name]));
}

function settingsOf(pfName: string, vf: number, { rtnl }: Host): Partial<VfState> | undefined {
  try {
    return rtnl.get(vfsOf({ name: pfName })).get(vf);
  } catch {
    return undefined; // the PF is just going away
  }
}
