import { driverOf, isPf, listPciDevices, netdevOf, vendorOf } from "../../cni/kernel/sysfs.ts";
import type { PfSelector, Rail } from "./config.ts";

/** A physical function as sysfs shows it: what selectors look at. */
export interface PfFacts {
  readonly pci: string;
  /** Its link; absent without a driver. */
  readonly name?: string;
  readonly vendor?: string;
  readonly driver?: string;
}

/** A rail on this node. */
export interface RailHere {
  readonly rail: Rail;
  readonly pf: PfFacts;
}

export interface Selection {
  readonly here: readonly RailHere[];
  /** Rails that this node does not have, which is no error. */
  readonly absent: readonly { readonly rail: string; readonly why: string }[];
}

/** The name of the link that has an alternative name. */
export type NameOfAltname = (altname: string) => string | undefined;

/** All that has SR-IOV, with or without link and VFs, by PCI address. */
export function listPfFacts(sysfs: string): PfFacts[] {
  return listPciDevices(sysfs)
    .filter((pci) => isPf(sysfs, pci))
    .map((pci) => {
      const [name, vendor, driver] = [netdevOf(sysfs, pci), vendorOf(sysfs, pci), driverOf(sysfs, pci)];
      return { pci, ...(name && { name }), ...(vendor && { vendor }), ...(driver && { driver }) };
    });
}

/**
 * The first PF that a rail's selectors match is the rail's. If that is another rail's already, the rail is absent: the
 * next PF might be cabled to anything.
 */
export function selectPfs(
  rails: readonly Rail[],
  pfs: readonly PfFacts[],
  nameOfAltname: NameOfAltname = () => undefined,
): Selection {
  const here: RailHere[] = [];
  const absent: { rail: string; why: string }[] = [];
  for (const rail of rails) {
    const pf = pfs.find((one) => matches(withRealNames(rail.pf, pfs, nameOfAltname), one));
    const owner = here.find((other) => other.pf.pci === pf?.pci);
    if (!pf) absent.push({ rail: rail.name, why: "no PF of this node matches its selectors" });
    else if (owner) absent.push({ rail: rail.name, why: `${nameOf(pf)} is the PF of rail ${owner.rail.name}` });
    else here.push({ rail, pf });
  }
  return { here, absent };
}

/** Only what is no PF's name is asked about. */
function withRealNames(selector: PfSelector, pfs: readonly PfFacts[], nameOfAltname: NameOfAltname): PfSelector {
  const real = (name: string) => (pfs.some((pf) => pf.name === name) ? name : (nameOfAltname(name) ?? name));
  return { ...selector, names: selector.names.map(real) };
}

/** A PF for people. */
export const nameOf = ({ name, pci }: PfFacts): string => (name ? `${name} (${pci})` : pci);

function matches({ names, pciAddresses, vendors, drivers }: PfSelector, pf: PfFacts): boolean {
  const allows = (wanted: readonly string[], value?: string) => wanted.length === 0 || wanted.includes(value ?? "");
  return (
    allows(names, pf.name) && allows(pciAddresses, pf.pci) && allows(vendors, pf.vendor) && allows(drivers, pf.driver)
  );
}
