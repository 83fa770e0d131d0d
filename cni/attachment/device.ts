import { readdirSync } from "node:fs";
import { join } from "node:path";
import { linkCalled, listLinks, parseLink } from "../../kernel/link.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns, openNetns } from "../../kernel/netns.ts";
import {
  driverOf,
  exists,
  findPf,
  hasRepresentors,
  isForUserspace,
  isPf,
  isVf,
  listPfs,
  netdevOf,
  type Pf,
  pfOf,
} from "../../kernel/sysfs.ts";
import { ATTACH_CODE } from "../codes.ts";
import type { AttachConfig } from "../config.ts";
import type { Host } from "../host.ts";
import { onHost } from "../host-root.ts";
import { CniError } from "../protocol/error.ts";
import type { DeviceIdentity } from "./record.ts";

/** A VF as sysfs shows it. */
export interface Device extends DeviceIdentity {
  /** Its link in the host's namespace; absent when a userspace driver has it. */
  readonly netdev?: string;
}

/** @throws {CniError} 101, 102 or 103: not a VF of this node, in use elsewhere, or on another rail. */
export function findDevice({ deviceID: pci, rail }: AttachConfig, host: Host): Device {
  const { sysfs } = host.paths;
  if (!exists(sysfs, pci))
    throw unusable(
      pci,
      "this node has no such PCI device; were its VFs created (sriov_numvfs), and is the device plugin's list up to date?",
    );
  if (isPf(sysfs, pci)) throw unusable(pci, "it is a physical function; a pod gets one of its VFs");
  if (!isVf(sysfs, pci)) throw unusable(pci, "it is not an SR-IOV VF (it has no physfn)");
  const pf = pfOf(sysfs, pci);
  if (rail !== undefined) checkRail(pci, pf, rail, host);
  if (pf && hasRepresentors(sysfs, pf.pci))
    throw unusable(
      pci,
      `its PF ${pf.name} is in switchdev mode, and representors, through which its VFs are reached then, are not supported: ` +
        `devlink dev eswitch set pci/${pf.pci} mode legacy`,
    );
  const identity = { pci, ...(pf && { pf: { name: pf.name, pci: pf.pci, vf: pf.vf } }) };
  const netdev = netdevOf(sysfs, pci);
  if (netdev !== undefined) return { ...identity, netdev };
  const driver = driverOf(sysfs, pci);
  if (isForUserspace(sysfs, pci)) return identity;
  const where = whereIs(pci, host);
  if (where) throw new CniError(ATTACH_CODE.IN_USE, `cannot attach ${pci}: its link is in network namespace ${where}`);
  throw unusable(pci, driver ? `driver ${driver} has made no link for it` : "no driver is bound to it");
}

function checkRail(pci: string, actual: Pf | undefined, rail: string | number, host: Host): void {
  const pfs = listPfs(host.paths.sysfs);
  const wanted = findPf(pfs, rail) ?? findPf(pfs, linkCalled(String(rail), host.rtnl)?.name ?? "");
  if (!wanted) {
    const known = pfs.map((pf, i) => `${i}: ${pf.name} (${pf.pci})`).join(", ") || "none";
    throw new CniError(
      ATTACH_CODE.WRONG_RAIL,
      `cannot attach ${pci}: rail ${JSON.stringify(rail)} is not a PF of this node; it has ${known}`,
    );
  }
  if (wanted.pci !== actual?.pci)
    throw new CniError(
      ATTACH_CODE.WRONG_RAIL,
      `cannot attach ${pci}: it is a VF of ${actual ? `${actual.name} (${actual.pci})` : "an unknown PF"}, ` +
        `but rail ${JSON.stringify(rail)} is ${wanted.name} (${wanted.pci}); use one resource per rail`,
    );
}

/** Searches the named namespaces; only on the way to an error. */
function whereIs(pci: string, { paths }: Host): string | undefined {
  return namespaces(onHost(paths.hostRoot, paths.netnsDir)).find((path) => {
    try {
      using netns = openNetns(path);
      using rtnl = inNetns(netns, () => new NetlinkSocket());
      return rtnl.dump(listLinks(), { evenInterrupted: true }).some((body) => parseLink(body).parent === pci);
    } catch {
      return false; // it has gone in the meantime
    }
  });
}

function namespaces(dir: string): string[] {
  try {
    return readdirSync(dir).map((name) => join(dir, name));
  } catch {
    return [];
  }
}

function unusable(pci: string, why: string): CniError {
  return new CniError(ATTACH_CODE.DEVICE_UNUSABLE, `cannot attach ${pci}: ${why}`);
}
