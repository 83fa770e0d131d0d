import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";

/** A physical function. */
export interface Pf {
  readonly name: string;
  readonly pci: string;
}

/** A physical function with the number of its VFs. */
export interface PfInfo extends Pf {
  readonly numVfs: number;
}

const device = (root: string, pci: string): string => join(root, "bus/pci/devices", pci);

export const exists = (root: string, pci: string): boolean => existsSync(device(root, pci));
export const isVf = (root: string, pci: string): boolean => existsSync(join(device(root, pci), "physfn"));
/** Has SR-IOV, whether or not VFs exist. */
export const isPf = (root: string, pci: string): boolean =>
  existsSync(join(device(root, pci), "sriov_totalvfs")) || existsSync(join(device(root, pci), "sriov_numvfs"));

/** PF of a VF with the VF's index there, or undefined when the PF has no link in this namespace or does not list it. */
export function pfOf(root: string, vfPci: string): (Pf & { readonly vf: number }) | undefined {
  const physfn = join(device(root, vfPci), "physfn");
  const name = entries(join(physfn, "net"))[0];
  const virtfn = entries(physfn).find(
    (entry) => /^virtfn\d+$/.test(entry) && basename(readlinkSync(join(physfn, entry))) === vfPci,
  );
  if (!name || !virtfn) return undefined;
  return { name, pci: basename(realpathSync(physfn)), vf: Number(virtfn.slice("virtfn".length)) };
}

/** Link of a function in the network namespace that this sysfs shows. */
export const netdevOf = (root: string, pci: string): string | undefined => entries(join(device(root, pci), "net"))[0];

/** Names of the RDMA devices of a function; empty also while they are in another namespace. */
export const rdmaDevicesOf = (root: string, pci: string): string[] => entries(join(device(root, pci), "infiniband"));

export function driverOf(root: string, pci: string): string | undefined {
  const driver = join(device(root, pci), "driver");
  return existsSync(driver) ? basename(readlinkSync(driver)) : undefined;
}

/** All PFs with a link, ordered by PCI address. */
export function listPfs(root: string): PfInfo[] {
  return entries(join(root, "bus/pci/devices"))
    .filter((pci) => isPf(root, pci))
    .sort()
    .flatMap((pci) => {
      const name = netdevOf(root, pci);
      return name ? [{ name, pci, numVfs: number(join(device(root, pci), "sriov_numvfs")) }] : [];
    });
}

function number(file: string): number {
  return existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
}

function entries(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // no such directory: no such thing
  }
}
