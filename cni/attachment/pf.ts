import { ARPHRD_ETHER, type Link } from "../../kernel/link.ts";
import { driverOf } from "../../kernel/sysfs.ts";
import { setVf, type VfState } from "../../kernel/vf.ts";
import { ATTACH_CODE } from "../codes.ts";
import type { AttachConfig } from "../config.ts";
import { invalid } from "../fields.ts";
import type { Host } from "../host.ts";
import { CniError, CODE } from "../protocol/error.ts";
import type { Device } from "./device.ts";
import { type DriverTraits, freshState, traitsOfPf } from "./drivers.ts";
import { originalOf } from "./home.ts";
import { linkNamed } from "./link-at.ts";
import { linkState } from "./link-state/snapshot.ts";
import { NO_MAC, resetByCycle, setAdminMac, setLinkMac } from "./mac.ts";
import { patiently } from "./patience.ts";
import type { RdmaPlan } from "./rdma.ts";
import type { Original } from "./record.ts";
import { awaitVf, isCutOff, lookAtPf, type PfView, type VfAtPf } from "./vf-at-pf.ts";

/** A VF as it is before ADD: what DEL restores, and where to write. */
export interface PfSnapshot {
  readonly original: Original;
  /** Its link; absent when it has none. */
  readonly link?: Link;
  /** Absent when the PF does not show the VF. */
  readonly at?: VfAtPf;
  /** The administrative MAC to set at the PF. */
  readonly adminMac?: string;
}

/**
 * Reads the VF's state, and refuses what cannot be had. Changes nothing. A VF that the PF only hides, because it is in
 * reset, is waited for if something is to be set there.
 *
 * @throws {CniError} 7 for an MTU above the PF's, 11 if the PF keeps hiding the VF, 101 if settings are wanted and the PF
 *   shows no such VF, or for a link that is not Ethernet.
 */
export async function snapshot(device: Device, config: AttachConfig, rdma: RdmaPlan, host: Host): Promise<PfSnapshot> {
  const wanted = [...Object.keys(config.vf), ...(config.mac || config.pinMac ? ["mac"] : [])];
  const view = await viewOf(device, wanted.length > 0, host);
  const vf = view?.state ?? (view?.isHidden && isCutOff(view.at.vf) ? unseen(device, wanted, host) : undefined);
  if (wanted.length > 0 && !vf) refuseSettings(device, wanted, view);
  if (view && config.mtu && config.mtu > view.pf.mtu)
    throw invalid(
      "mtu",
      config.mtu,
      `the MTU of its PF ${view.pf.name} is ${view.pf.mtu}; raise that first or ask for less`,
    );
  const link = device.netdev === undefined ? undefined : readLink(device, device.netdev, host);
  if (link) refuseOtherThanEthernet(device, link);
  const ownMac = link?.mac ?? (vf?.mac === NO_MAC ? undefined : vf?.mac);
  const adminMac =
    config.mac ??
    (config.pinMac ? ownMac : undefined) ??
    (vf && link && macForSpoofCheck(config, vf, link, traitsOfPf(device, host)));
  return {
    original: {
      ...(link && originalOf(link)),
      ...(link && linkState(link, host)),
      ...(vf && { vf }),
      ...(rdma.move && { rdma: rdma.devices, ...(rdma.indices && { rdmaIndices: rdma.indices }) }),
    },
    ...(link && { link }),
    ...(view && vf && { at: view.at }),
    ...(adminMac && { adminMac }),
  };
}

async function viewOf({ pf }: Device, isNeeded: boolean, host: Host): Promise<PfView | undefined> {
  if (!pf) return undefined;
  const view = isNeeded ? await awaitVf(pf.name, pf.vf, host, host) : lookAtPf(pf.name, pf.vf, host);
  if (!view) throw new CniError(CODE.TRY_AGAIN_LATER, `cannot read PF ${pf.name} of VF ${pf.vf}: its link is gone`);
  return view;
}

/** The kernel's list does not reach that far: the VF is assumed to have what drivers give a new one. */
function unseen({ pci, pf }: Device, wanted: readonly string[], host: Host): VfState {
  if (wanted.length > 0)
    host.log.warn(
      { pci, pf: pf?.name, vf: pf?.vf },
      "this kernel does not list the VF: DEL will restore a new VF's defaults",
    );
  return freshState(driverOf(host.paths.sysfs, pf?.pci ?? ""));
}

function refuseSettings({ pci, netdev, pf }: Device, wanted: readonly string[], view: PfView | undefined): void {
  if (view?.isHidden)
    throw new CniError(
      CODE.TRY_AGAIN_LATER,
      `cannot set ${wanted.join(", ")} of ${pci}: PF ${view.pf.name} does not report VF ${view.at.vf}: it is in reset, or its driver is busy`,
    );
  if (netdev && wanted.join() === "mac") return;
  throw new CniError(
    ATTACH_CODE.DEVICE_UNUSABLE,
    `cannot set ${wanted.join(", ")} of ${pci}: ${pf ? `PF ${pf.name} shows no VF ${pf.vf}` : "its PF has no link"}`,
  );
}

function refuseOtherThanEthernet({ pci }: Device, { name, type }: Link): void {
  if (type === ARPHRD_ETHER) return;
  throw new CniError(
    ATTACH_CODE.DEVICE_UNUSABLE,
    `cannot attach ${pci}: its link ${name} is not Ethernet (type ${type}${type === 32 ? ", InfiniBand" : ""}): set the port's link type to Ethernet (mlxconfig LINK_TYPE), or use a plugin for IPoIB`,
  );
}

/** With spoof check on and no administrative MAC some drivers let nothing out. */
const macForSpoofCheck = (
  { vf: wanted }: AttachConfig,
  now: VfState,
  link: Link,
  { needsAdminMac }: DriverTraits,
): string | undefined => (needsAdminMac && wanted.spoofchk && now.mac === NO_MAC ? link.mac : undefined);

/** A MAC that differs in one bit of its last byte, for a driver that ignores one which the VF already has. */
function another(mac: string): string {
  const last = Number.parseInt(mac.slice(-2), 16) ^ 1;
  return `${mac.slice(0, -2)}${last.toString(16).padStart(2, "0")}`;
}

function readLink(device: Device, name: string, host: Host): Link {
  const link = linkNamed(host.rtnl, name);
  if (link && (!link.parent || link.parent === device.pci)) return link;
  const what = link
    ? `link ${name} now belongs to another device`
    : `its link ${name} is not in the host's network namespace`;
  throw new CniError(ATTACH_CODE.IN_USE, `cannot attach ${device.pci}: ${what}`);
}

/**
 * Sets at the PF what is configured, and nothing else, in an order that works with every driver: the link's own MAC before
 * the administrative one, which pins it (igb, ixgbe, i40e, ice, bnxt); both before the rest, after which a VF may be in
 * reset (ice, i40e) or ignored (ixgbe).
 *
 * @param onPinned called before an administrative MAC that keeps the VF from choosing is removed.
 */
export async function configurePf(
  device: Device,
  config: AttachConfig,
  was: PfSnapshot,
  host: Host,
  onPinned: () => void = () => {},
): Promise<void> {
  const { link, at, adminMac } = was;
  const traits = traitsOfPf(device, host);
  const setAtPf = async () => {
    if (!at || !adminMac) return;
    const isListed = !isCutOff(at.vf);
    const isNoOther = was.original.vf?.mac === adminMac;
    if (config.pinMac && traits.pinsOnlyAnother && isNoOther)
      await setAdminMac(host.rtnl, at, another(adminMac), host, { isListed });
    await setAdminMac(host.rtnl, at, adminMac, host, { isListed });
  };
  if (traits.pinsOnlyAnother) await setAtPf();
  if (link && config.mac && config.mac !== link.mac)
    await setLinkMac(host.rtnl, link.index, config.mac, host, at, onPinned);
  if (!traits.pinsOnlyAnother) await setAtPf();
  if (!at || Object.keys(config.vf).length === 0) return;
  const what = `configure VF ${at.vf} of ${device.pf!.name}: ${words(config.vf)}`;
  await patiently(() => host.rtnl.request(setVf(at.pfIndex, at.vf, config.vf, what)), host);
  if (link && leavesDeaf(config.vf, traits)) await resetByCycle(host.rtnl, link.index, host);
}

/** Whether the PF stops listening to the VF after such a change. */
export const leavesDeaf = (change: Partial<VfState>, { closesMailbox }: DriverTraits): boolean =>
  closesMailbox === true && ("trust" in change || "linkState" in change);

const words = (vf: Partial<VfState>): string =>
  Object.entries(vf)
    .map(([key, value]) => `${key} ${key === "proto" ? `0x${value.toString(16)}` : value}`)
    .join(", ");
