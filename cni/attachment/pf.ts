import { ATTACH_CODE } from "../codes.ts";
import type { AttachConfig } from "../config.ts";
import { invalid } from "../fields.ts";
import type { Host } from "../host.ts";
import { codeOf } from "../kernel/errno.ts";
import { getLink, type Link, parseLink } from "../kernel/link.ts";
import { parseVfs, setVf, type VfState } from "../kernel/vf.ts";
import { CniError } from "../protocol/error.ts";
import type { Device } from "./device.ts";
import { setAdminMac, setLinkMac, type VfAtPf } from "./mac.ts";
import { parseMark } from "./mark.ts";
import type { RdmaPlan } from "./rdma.ts";
import type { Original } from "./record.ts";

/** A VF as it is before ADD: what DEL restores, and where to write. */
export interface Snapshot {
  readonly original: Original;
  /** Its link; absent when it has none. */
  readonly link?: Link;
  /** Absent when the PF does not show the VF. */
  readonly at?: VfAtPf;
}

/**
 * Reads the VF as it is, and refuses what cannot be had. Changes nothing.
 *
 * @throws {CniError} 7 for an MTU above the PF's, 101 when settings are wanted and the PF shows no such VF.
 */
export function snapshot(device: Device, config: AttachConfig, rdma: RdmaPlan, host: Host): Snapshot {
  const pf = device.pf && readPf(device.pf.name, host);
  const vf = device.pf && pf?.vfs.get(device.pf.vf);
  const wanted = [...Object.keys(config.vf), ...(config.mac ? ["mac"] : [])];
  if (wanted.length > 0 && !vf && !(device.netdev && wanted.join() === "mac"))
    throw new CniError(
      ATTACH_CODE.DEVICE_UNUSABLE,
      `cannot set ${wanted.join(", ")} of ${device.pci}: ${device.pf ? `PF ${device.pf.name} shows no VF ${device.pf.vf}` : "its PF has no link"}`,
    );
  if (pf && config.mtu && config.mtu > pf.link.mtu)
    throw invalid(
      "mtu",
      config.mtu,
      `the MTU of its PF ${pf.link.name} is ${pf.link.mtu}; raise that first or ask for less`,
    );
  const link = device.netdev === undefined ? undefined : readLink(device, device.netdev, host);
  return {
    original: { ...(link && originalOf(link)), ...(vf && { vf }), ...(rdma.move && { rdma: rdma.devices }) },
    ...(link && { link }),
    ...(pf && vf && { at: { pfIndex: pf.link.index, vf: device.pf!.vf } }),
  };
}

/** A VF that fell back without a record still says what it was called. */
function originalOf({ name, mac, mtu, alias, altnames, up }: Link): Original {
  const mark = parseMark(alias);
  return mark
    ? { name: mark.name, mac: mark.mac, mtu: mark.mtu, alias: "", altnames, up: false }
    : { name, mac, mtu, alias, altnames, up };
}

function readPf(name: string, host: Host): { link: Link; vfs: Map<number, VfState> } {
  const body = host.rtnl.request(getLink({ name }, { vfs: true }))!;
  return { link: parseLink(body), vfs: parseVfs(body) };
}

function readLink(device: Device, name: string, host: Host): Link {
  try {
    return parseLink(host.rtnl.request(getLink({ name }))!);
  } catch (error) {
    if (codeOf(error) !== "ENODEV") throw error;
    throw new CniError(
      ATTACH_CODE.IN_USE,
      `cannot attach ${device.pci}: its link ${name} is not in the host's network namespace`,
      { cause: error },
    );
  }
}

/**
 * Sets what is configured at the PF, and nothing else. The order is what igb insists on: trust before the link's own
 * MAC, that before the administrative one.
 */
export async function configurePf(device: Device, config: AttachConfig, was: Snapshot, host: Host): Promise<void> {
  const { link, at } = was;
  if (at && Object.keys(config.vf).length > 0)
    host.rtnl.request(
      setVf(at.pfIndex, at.vf, config.vf, `configure VF ${at.vf} of ${device.pf!.name}: ${words(config.vf)}`),
    );
  if (!config.mac) return;
  if (link && config.mac !== link.mac) await setLinkMac(host.rtnl, link.index, config.mac, at);
  if (at) await setAdminMac(host.rtnl, at, config.mac);
}

const words = (vf: Partial<VfState>): string =>
  Object.entries(vf)
    .map(([key, value]) => `${key} ${key === "proto" ? `0x${value.toString(16)}` : value}`)
    .join(", ");
